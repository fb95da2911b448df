-- What a door's account sees of door_events, and may add to: its own door's, and nothing once that is revoked.
CREATE OR REPLACE VIEW own_door_events AS
SELECT * FROM door_events
WHERE door IN (SELECT name FROM doors WHERE account = SUBSTRING_INDEX(USER(), '@', 1) AND revoked_at IS NULL)
WITH CHECK OPTION;
