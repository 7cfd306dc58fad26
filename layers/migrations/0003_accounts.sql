-- Who may sign in. The service reads these tables in its own role; nobody who only reads layers can.

CREATE TABLE leeward.accounts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    key           text NOT NULL UNIQUE,
    role          text NOT NULL CHECK (role IN ('reader', 'responder', 'planner', 'editor', 'publisher', 'admin')),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    demo          boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    used_at       timestamptz,
    revoked_at    timestamptz
);
COMMENT ON TABLE leeward.accounts IS 'Who may sign in; a revoked account stays, for its name stands in the change log';
COMMENT ON COLUMN leeward.accounts.key IS 'The name without differences of case and width: no two accounts share it';
COMMENT ON COLUMN leeward.accounts.password_hash IS 'argon2id, with its own salt and parameters';
COMMENT ON COLUMN leeward.accounts.demo IS 'Made by leeward demo; its password lies in a file';
COMMENT ON COLUMN leeward.accounts.used_at IS 'When it was last used, to five minutes';

CREATE TABLE leeward.sessions (
    digest     bytea PRIMARY KEY,
    account    bigint NOT NULL REFERENCES leeward.accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE leeward.sessions IS 'Browsers that are signed in';
COMMENT ON COLUMN leeward.sessions.digest IS 'SHA-256 of the cookie''s value, which is kept nowhere';
CREATE INDEX sessions_account ON leeward.sessions (account);
CREATE INDEX sessions_expires_at ON leeward.sessions (expires_at);

CREATE TABLE leeward.tokens (
    digest     bytea PRIMARY KEY,
    account    bigint NOT NULL REFERENCES leeward.accounts ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz
);
COMMENT ON TABLE leeward.tokens IS 'Tokens of programs that act for an account';
COMMENT ON COLUMN leeward.tokens.digest IS 'SHA-256 of the token, which is kept nowhere';
COMMENT ON COLUMN leeward.tokens.used_at IS 'When it was last used, to five minutes';
CREATE INDEX tokens_account ON leeward.tokens (account);

-- The service makes sessions; accounts and tokens are made by the owner alone, on the command line.
GRANT SELECT, UPDATE (used_at) ON leeward.accounts, leeward.tokens TO leeward_service;
GRANT SELECT, INSERT, DELETE ON leeward.sessions TO leeward_service;
