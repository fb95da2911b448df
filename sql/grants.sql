-- The accounts, and what each may do. `smileaccess door register` runs just these statements for a door; for others, or
-- where it may not, put ACCOUNT, HOST, PASSWORD and DATABASE into the blocks that are wanted and run them here.
-- HOST is where the account comes from ('%' for anywhere). REQUIRE SSL at the end of the first lets it in by TLS only.
-- A door that is made by hand needs its row as well:
--     INSERT INTO doors (name, account, host, registered_at) VALUES ('front', 'ACCOUNT', 'HOST', UTC_TIMESTAMP(6));

-- kind: account
CREATE USER 'ACCOUNT'@'HOST' IDENTIFIED BY 'PASSWORD';

-- One that is there already: a new password, and let in again.
-- kind: password
ALTER USER 'ACCOUNT'@'HOST' IDENTIFIED BY 'PASSWORD' ACCOUNT UNLOCK;

-- One that is lost. Its row in `doors` counts besides: UPDATE doors SET revoked_at = UTC_TIMESTAMP(6) WHERE name = 'front';
-- kind: lock
ALTER USER 'ACCOUNT'@'HOST' ACCOUNT LOCK;

-- One that a door has no more.
-- kind: drop
DROP USER IF EXISTS 'ACCOUNT'@'HOST';

-- A door: reads and adds through the views, which show its own rows and nothing once it is revoked. It never alters,
-- deletes or defines anything.
-- kind: door
GRANT SELECT ON `DATABASE`.migrations TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.own_door TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.own_members TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.own_faces TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.own_attempts TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.own_door_events TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.own_chain_heads TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.own_confirmations TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.own_contacts TO 'ACCOUNT'@'HOST';

-- Where people are enrolled: members and their faces are its own; it reads what doors wrote, and adds events.
-- kind: enroller
GRANT SELECT, INSERT, UPDATE, DELETE ON `DATABASE`.members TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT, UPDATE, DELETE ON `DATABASE`.faces TO 'ACCOUNT'@'HOST';
GRANT SELECT, INSERT ON `DATABASE`.door_events TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.migrations TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.doors TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.attempts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.chain_heads TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.confirmations TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.contacts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.recent_attempts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.denials_today TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.attempts_per_hour TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.members_now TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.doors_now TO 'ACCOUNT'@'HOST';

-- Who looks: everything but the templates and the signed documents.
-- kind: reader
GRANT SELECT (id, version, name, status, created_at, consent_given_at, consent_text, valid_from, valid_until, doors,
    schedule, changed_at) ON `DATABASE`.members TO 'ACCOUNT'@'HOST';
GRANT SELECT (id, member_id, collection, model, added_at) ON `DATABASE`.faces TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.migrations TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.doors TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.attempts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.door_events TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.chain_heads TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.confirmations TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.contacts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.recent_attempts TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.denials_today TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.attempts_per_hour TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.members_now TO 'ACCOUNT'@'HOST';
GRANT SELECT ON `DATABASE`.doors_now TO 'ACCOUNT'@'HOST';
