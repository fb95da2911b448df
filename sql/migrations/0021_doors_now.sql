-- For people: the doors, when each was last heard of and last delivered, and up to where in its chain.
CREATE OR REPLACE VIEW doors_now AS
SELECT
    doors.name, doors.account, doors.host, doors.registered_at, doors.revoked_at, doors.note,
    (SELECT MAX(contacts.at) FROM contacts WHERE contacts.door = doors.name) AS heard_at,
    chain_heads.at AS delivered_at, chain_heads.record, chain_heads.sequence, chain_heads.hash
FROM doors LEFT JOIN chain_heads
    ON chain_heads.door = doors.name
    AND chain_heads.record = (
        SELECT latest.record FROM chain_heads AS latest WHERE latest.door = doors.name
        ORDER BY latest.at DESC, latest.record DESC, latest.sequence DESC LIMIT 1
    )
    AND chain_heads.sequence = (
        SELECT MAX(same.sequence) FROM chain_heads AS same
        WHERE same.door = doors.name AND same.record = chain_heads.record
    )
ORDER BY doors.name;
