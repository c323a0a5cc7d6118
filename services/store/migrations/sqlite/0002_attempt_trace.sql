-- The trace context of a job's latest attempt, so that the next one can name it.
ALTER TABLE jobs ADD COLUMN attempt_trace TEXT;
