"""Property tests: no time limit for a single example, since the first one pays for what the machine is busy with."""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
