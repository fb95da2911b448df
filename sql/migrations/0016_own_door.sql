-- What a door's account sees of doors: its own, also once that is revoked.
CREATE OR REPLACE VIEW own_door AS
SELECT name, registered_at, revoked_at FROM doors
WHERE account = SUBSTRING_INDEX(USER(), '@', 1);
