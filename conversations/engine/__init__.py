"""Running runs: the engine (who runs them where), the runner, the recorder and its writer."""
