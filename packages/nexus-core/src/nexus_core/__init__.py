"""nexus_core: the agent framework under Nexus. No Django, no database.

The words to start with are importable from here; everything else from its module.
"""

from .agent import AgentRequest, AgentResponse, BaseAgent, ModelAgent, run_agent
from .chunks import (
    Chunk,
    ContentChunk,
    ErrorChunk,
    MetadataChunk,
    ReasoningChunk,
    ToolCallChunk,
    from_wire,
    to_wire,
)
from .context import ExecutionContext
from .errors import AgentError, LLMError, NexusError, RAGError, ToolError
from .fallback import Route
from .messages import Message, assistant, user
from .tools import Tool, Toolset, tool
from .usage import Cost, Usage

__all__ = [
    "AgentError",
    "AgentRequest",
    "AgentResponse",
    "BaseAgent",
    "Chunk",
    "ContentChunk",
    "Cost",
    "ErrorChunk",
    "ExecutionContext",
    "LLMError",
    "Message",
    "MetadataChunk",
    "ModelAgent",
    "NexusError",
    "RAGError",
    "ReasoningChunk",
    "Route",
    "Tool",
    "ToolCallChunk",
    "ToolError",
    "Toolset",
    "Usage",
    "assistant",
    "from_wire",
    "run_agent",
    "to_wire",
    "tool",
    "user",
]
