"""The agents that every workspace starts with, and the news feeds of a new installation [A8, A11, A13, A18].

The documents' models are long retired: the agents keep their names and have today's successors.
"""

from __future__ import annotations

from dataclasses import dataclass

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
GPT, GPT_SMALL = "gpt-6.1-sol", "gpt-6-luna"
GEMINI, GEMINI_FLASH = "gemini-4-argon", "gemini-3.8-flash"

STARTERS = (
    "How are my data metrics for the week?",
    "Show me token usage statistics",
    "What's my session activity?",
)
ANALYTICS = ("analyze_session_metrics", "get_token_usage", "get_session_activity", "search_messages")
EVERY_TOOL = (*ANALYTICS, "create_task", "update_profile", "fetch_news")

WHICHEVER_KEY = (("openai", GPT_SMALL), ("google", GEMINI_FLASH))
"""Small models of the other providers: whichever key there is, the agent works."""


@dataclass(frozen=True, slots=True)
class ShippedAgent:
    """Fields of `agents.models.Agent` as a new workspace gets them."""

    slug: str
    name: str
    icon: str
    description: str
    provider: str
    model: str
    system_prompt: str
    temperature: float | None = None
    max_tokens: int = 4096
    reasoning: str = "off"
    tools: tuple[str, ...] = ()
    tool_approval: tuple[str, ...] = ()
    fallback: tuple[tuple[str, str], ...] = ()
    starters: tuple[str, ...] = ()


AGENTS = (
    ShippedAgent(
        slug="local-assistant",
        name="Local Assistant",
        icon="🌱",
        description="A small model that runs on this machine: no key, no cost, nothing leaves the house.",
        provider="local",
        model="SmolLM2-135M-Instruct",
        temperature=0.3,
        max_tokens=512,
        system_prompt="You are a helpful assistant. Answer briefly and clearly. If you do not know, say so.",
        starters=STARTERS,
    ),
    ShippedAgent(
        slug="demo-agent",
        name="Demo Agent",
        icon="🧭",
        description="Demo, rules, no AI: routes by simple rules to real tools over this workspace's real data.",
        provider="scripted",
        model="demo",
        system_prompt="",
        tools=EVERY_TOOL,
        starters=STARTERS,
    ),
    ShippedAgent(
        slug="careful-demo",
        name="Careful Demo",
        icon="🛡️",
        description="Demo, rules, no AI: asks people before it changes anything, and when it lacks an answer.",
        provider="scripted",
        model="demo",
        system_prompt="",
        tools=(*EVERY_TOOL, "call_human"),
        tool_approval=("create_task", "update_profile"),
        starters=(
            "Create a task to review the release notes",
            "Call me Ada",
            "Ask us which colour the new logo should have",
        ),
    ),
    ShippedAgent(
        slug="llama-3-assistant",
        name="Llama 3 Assistant",
        icon="🦙",
        description="General conversation with an open model in your own Ollama.",
        provider="ollama",
        model="llama3.2",
        temperature=0.7,
        max_tokens=2000,
        system_prompt="You are a friendly general assistant. Answer directly; use lists and examples where they help.",
        starters=("Explain something new to me", "Help me write an e-mail", "Plan my day"),
    ),
    ShippedAgent(
        slug="gpt-4-strategist",
        name="GPT-4 Strategist",
        icon="🧠",
        description="Strategy, plans and decisions, thought through step by step.",
        provider="openai",
        model=GPT,
        reasoning="low",
        system_prompt=(
            "You are a strategist. Clarify the goal, name the options with their costs and risks, and "
            "recommend one with your reasons. Say which facts you are missing."
        ),
        starters=("Compare two options for me", "Find the risks in a plan", "Outline a go-to-market"),
    ),
    ShippedAgent(
        slug="gemini-analyst",
        name="Gemini Analyst",
        icon="💎",
        description="Reads data, documents and pictures and says what is in them.",
        provider="google",
        model=GEMINI,
        reasoning="low",
        system_prompt=(
            "You are an analyst. Work from the material you are given, show the numbers you use, separate "
            "what is stated from what you infer, and end with what follows from it."
        ),
        starters=("Summarise a document", "What does this data say?", "Describe a picture"),
    ),
    ShippedAgent(
        slug="code-helper",
        name="Code Helper",
        icon="💻",
        description="Writes, explains and repairs code with an open model in your own Ollama.",
        provider="ollama",
        model="qwen2.5-coder:7b",
        temperature=0.2,
        system_prompt=(
            "You are a programmer. Give working code in fenced blocks with the language named, say what it "
            "assumes, and explain briefly why it is right. Point out mistakes in code you are shown."
        ),
        starters=("Explain a piece of code", "Write a unit test", "Find the bug"),
    ),
    ShippedAgent(
        slug="gpt-3-5-turbo",
        name="GPT-3.5 Turbo",
        icon="⚡",
        description="Quick and cheap answers for everyday questions.",
        provider="openai",
        model=GPT_SMALL,
        max_tokens=2000,
        system_prompt="You are a quick assistant. Answer in as few words as the question allows.",
    ),
    ShippedAgent(
        slug="session-manager-agent",
        name="Session Manager",
        icon="📊",
        description="Answers questions about this workspace's conversations, activity and token usage.",
        provider="anthropic",
        model=HAIKU,
        tools=ANALYTICS,
        fallback=WHICHEVER_KEY,
        system_prompt=(
            "You answer questions about this workspace's own use: conversations, messages, activity, tokens and "
            "cost. Always call a tool for the numbers; never guess one. Name the time range you used, give the "
            "few numbers that answer the question first, then what stands out."
        ),
        starters=STARTERS,
    ),
    ShippedAgent(
        slug="workflow-agent",
        name="WorkflowAgent",
        icon="🗂️",
        description="Turns a conversation into tasks and keeps track of them.",
        provider="anthropic",
        model=HAIKU,
        tools=("create_task", "search_messages"),
        fallback=WHICHEVER_KEY,
        system_prompt=(
            "You turn what people say into tasks. Break work into small steps with a clear result each, create "
            "them with the tool, and then list what you created. Ask when a task has no clear result."
        ),
        starters=("Make tasks of our last conversation", "Plan a release", "Create a task for me"),
    ),
    ShippedAgent(
        slug="news-agent",
        name="NewsAgent",
        icon="📰",
        description="Reads current news on technology, business, sports, the world and science.",
        provider="anthropic",
        model=HAIKU,
        tools=("fetch_news",),
        fallback=WHICHEVER_KEY,
        system_prompt=(
            "You report the news. Read it with the tool before you answer; never report from memory. Give a "
            "short list with one sentence each and the link, newest first, and say when feeds could not be read."
        ),
        starters=("What is new in tech?", "Business news of today", "Any sports results?"),
    ),
    ShippedAgent(
        slug="my-agent",
        name="MyAgent",
        icon="🧩",
        description="A plain agent to copy and make your own: change its prompt, model and tools in admin.",
        provider="anthropic",
        model=HAIKU,
        fallback=WHICHEVER_KEY,
        system_prompt="You are a helpful assistant of this workspace.",
    ),
    ShippedAgent(
        slug="claude-sonnet",
        name="Claude Sonnet",
        icon="🎼",
        description="A strong all-round model for writing, analysis and code, with thinking.",
        provider="anthropic",
        model=SONNET,
        max_tokens=8192,
        reasoning="medium",
        tools=("search_messages", "create_task"),
        system_prompt="You are Claude, a careful and capable assistant. Think before you answer; be concise.",
    ),
    ShippedAgent(
        slug="claude-haiku",
        name="Claude Haiku",
        icon="🍃",
        description="Quick and inexpensive answers with tools.",
        provider="anthropic",
        model=HAIKU,
        tools=("search_messages", "create_task"),
        system_prompt="You are Claude, a quick and helpful assistant. Be brief.",
    ),
    ShippedAgent(
        slug="claude-opus",
        name="Claude Opus",
        icon="🏛️",
        description="The strongest Claude for hard questions.",
        provider="anthropic",
        model=OPUS,
        max_tokens=8192,
        reasoning="high",
        tools=("search_messages", "create_task"),
        system_prompt="You are Claude, an expert assistant for hard problems. Check your own reasoning.",
    ),
    ShippedAgent(
        slug="customer-support-bot",
        name="Customer Support Bot",
        icon="🎧",
        description="Answers from earlier conversations and opens a task where a person must help.",
        provider="anthropic",
        model=HAIKU,
        tools=("search_messages", "create_task"),
        fallback=WHICHEVER_KEY,
        system_prompt=(
            "You support customers. Search earlier conversations before you answer. Be kind and concrete. When you "
            "cannot solve it, create a task that says who needs what, and tell the person so."
        ),
    ),
)

FEEDS = (
    ("tech", "Ars Technica", "https://feeds.arstechnica.com/arstechnica/index"),
    ("tech", "Hacker News", "https://hnrss.org/frontpage"),
    ("business", "BBC Business", "https://feeds.bbci.co.uk/news/business/rss.xml"),
    ("business", "The Guardian: Business", "https://www.theguardian.com/uk/business/rss"),
    ("sports", "BBC Sport", "https://feeds.bbci.co.uk/sport/rss.xml"),
    ("sports", "The Guardian: Sport", "https://www.theguardian.com/uk/sport/rss"),
    ("world", "BBC World", "https://feeds.bbci.co.uk/news/world/rss.xml"),
    ("science", "NASA", "https://www.nasa.gov/news-release/feed/"),
)
