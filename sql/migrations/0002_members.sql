-- Members as the enroller signed them: `document` and `signature` count, and every door checks them.
-- All between status and schedule is copied from the document for people and queries; no door believes it.
CREATE TABLE members (
    id VARCHAR(40) NOT NULL,
    version INT NOT NULL,
    name VARCHAR(200) NOT NULL,
    status VARCHAR(16) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    consent_given_at DATETIME(6) NULL,
    consent_text VARCHAR(64) NULL,
    valid_from DATETIME(6) NULL,
    valid_until DATETIME(6) NULL,
    doors TEXT NULL,
    schedule TEXT NULL,
    document MEDIUMBLOB NOT NULL,
    signature VARBINARY(64) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    KEY members_by_version (version),
    KEY members_by_name (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
