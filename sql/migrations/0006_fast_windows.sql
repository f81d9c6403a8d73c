-- Windows read what was not up; a quiet tenant costs nothing.
CREATE INDEX availability_not_up ON availability_spans USING gist (tenant, period) WHERE state <> 'up';
