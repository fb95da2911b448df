-- A member's faces: encrypted templates (`sealed`), and those in a collection of Amazon Rekognition.
-- The signed document lists both; a face that it does not list is nobody's.
CREATE TABLE faces (
    id VARCHAR(64) NOT NULL,
    member_id VARCHAR(40) NOT NULL,
    collection VARCHAR(255) NULL,
    model VARCHAR(128) NOT NULL,
    added_at DATETIME(6) NOT NULL,
    sealed BLOB NULL,
    PRIMARY KEY (member_id, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
