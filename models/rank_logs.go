package models

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// LogPrefix holds what the ranks of one training have written, of all attempts.
func LogPrefix(runKey string) string { return fmt.Sprintf("logs/%s/", runKey) }

// LogChunk is a piece of one rank's log: its bytes begin at Offset of the log.
// The newest piece of a log grows until it is full; pieces do not overlap, and
// between two that do not touch output was left out.
type LogChunk struct {
	Attempt int   // 1 for the first
	Rank    int   // of the gang
	Offset  int64 // bytes
}

// Key is where a training's piece is stored; keys sort as the pieces do.
func (c LogChunk) Key(runKey string) string {
	return fmt.Sprintf("%sattempt-%04d/rank-%05d/%015d.log", LogPrefix(runKey), c.Attempt, c.Rank, c.Offset)
}

// ParseLogChunk reads a key that LogChunk.Key has written.
func ParseLogChunk(runKey, key string) (LogChunk, bool) {
	parts := strings.Split(strings.TrimPrefix(key, LogPrefix(runKey)), "/")
	if len(parts) != 3 {
		return LogChunk{}, false
	}
	attempt, err1 := strconv.Atoi(strings.TrimPrefix(parts[0], "attempt-"))
	rank, err2 := strconv.Atoi(strings.TrimPrefix(parts[1], "rank-"))
	offset, err3 := strconv.ParseInt(strings.TrimSuffix(parts[2], ".log"), 10, 64)
	c := LogChunk{Attempt: attempt, Rank: rank, Offset: offset}
	return c, err1 == nil && err2 == nil && err3 == nil && c.Key(runKey) == key
}

// TrainRunKey is the run key of a Train workflow, under which its checkpoints
// and logs are kept. firstRun is the ID of the first of its runs.
func TrainRunKey(namespace, workflowID, firstRun string) string {
	parts, err := json.Marshal([]string{namespace, workflowID, firstRun, "ranks"})
	if err != nil {
		panic(err) // strings are always representable
	}
	sum := sha256.Sum256(parts)
	return hex.EncodeToString(sum[:])[:32]
}
