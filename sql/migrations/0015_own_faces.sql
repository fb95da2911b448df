-- What a door's account sees of faces: all, and nothing once the door is revoked.
CREATE OR REPLACE VIEW own_faces AS
SELECT * FROM faces
WHERE EXISTS (SELECT 1 FROM doors WHERE account = SUBSTRING_INDEX(USER(), '@', 1) AND revoked_at IS NULL);
