-- What a tenant's statements are written in.
ALTER TABLE tenants ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'ko'));
