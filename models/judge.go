package models

// JudgeState is what the judge of a rollout remembers between two looks.
type JudgeState struct{}
