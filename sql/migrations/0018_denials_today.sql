-- For people: what was denied since midnight (UTC), newest first, with the member's name as it is now.
CREATE OR REPLACE VIEW denials_today AS
SELECT
    attempts.opened_at, attempts.door, members.name AS member, attempts.reason, attempts.similarity, attempts.smile,
    attempts.liveness, attempts.recognizer, attempts.member_id, attempts.id
FROM attempts LEFT JOIN members ON members.id = attempts.member_id
WHERE attempts.outcome = 'denied' AND attempts.opened_at >= UTC_DATE()
ORDER BY attempts.opened_at DESC, attempts.id DESC;
