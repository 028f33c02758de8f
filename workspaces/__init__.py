"""Who is here and what they may do: people, workspaces, members, tokens, tickets, provider keys."""
