-- For people: who is a member, and of how many faces; it shows what was copied from the signed documents.
CREATE OR REPLACE VIEW members_now AS
SELECT
    name, status, valid_from, valid_until, doors, schedule, consent_text,
    (SELECT COUNT(*) FROM faces WHERE faces.member_id = members.id) AS faces,
    version, changed_at, id
FROM members
WHERE status <> 'forgotten'
ORDER BY name, id;
