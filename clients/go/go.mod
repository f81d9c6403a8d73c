module github.com/ecp-ai/orchestrator-client-go

go 1.19
