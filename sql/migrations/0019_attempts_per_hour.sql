-- For people: how many attempts each door had in each hour (UTC) of the last seven days, and how they ended.
CREATE OR REPLACE VIEW attempts_per_hour AS
SELECT
    CONCAT(LEFT(opened_at, 13), ':00') AS hour, door, COUNT(*) AS attempts,
    SUM(outcome = 'granted') AS granted, SUM(outcome = 'denied') AS denied
FROM attempts
WHERE opened_at >= UTC_TIMESTAMP() - INTERVAL 7 DAY
GROUP BY CONCAT(LEFT(opened_at, 13), ':00'), door
ORDER BY hour DESC, door;
