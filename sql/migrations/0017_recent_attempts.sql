-- For people: the attempts of the last seven days, newest first (UTC), with the member's name as it is now.
CREATE OR REPLACE VIEW recent_attempts AS
SELECT
    attempts.opened_at, attempts.door, members.name AS member, attempts.outcome, attempts.reason, attempts.similarity,
    attempts.smile, attempts.liveness, attempts.recognizer, attempts.member_id, attempts.id
FROM attempts LEFT JOIN members ON members.id = attempts.member_id
WHERE attempts.opened_at >= UTC_TIMESTAMP() - INTERVAL 7 DAY
ORDER BY attempts.opened_at DESC, attempts.id DESC;
