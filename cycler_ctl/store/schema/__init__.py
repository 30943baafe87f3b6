"""The numbered SQL files of a run file's schema, applied in order; a file that has shipped is never changed."""
