"""The one error of the agent."""


class AgentError(Exception):
    """Something on this device is missing or wrong; the host shows the text to the user."""
