-- What a door's account sees of confirmations, and may add to: its own door's, and nothing once that is revoked.
CREATE OR REPLACE VIEW own_confirmations AS
SELECT * FROM confirmations
WHERE door IN (SELECT name FROM doors WHERE account = SUBSTRING_INDEX(USER(), '@', 1) AND revoked_at IS NULL)
WITH CHECK OPTION;
