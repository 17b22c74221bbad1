package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckNamesForbiddenImports(t *testing.T) {
	for importer, cases := range map[string]map[string]bool{
		"models":             {"encoding/json": true, module + "/internal/gate": false, "gonum.org/v1/gonum/stat": false},
		"internal/gate":      {module + "/models": true, "gonum.org/v1/gonum/stat": true, "go.temporal.io/sdk/workflow": false},
		"workflows":          {module + "/internal/gate": true, "go.temporal.io/sdk/workflow": true, module + "/internal/mlflow": false, module + "/activities": false},
		"activities":         {module + "/internal/mlflow": true, module + "/workflows": false},
		"internal/gateway":   {module + "/internal/artifact": true, module + "/worker": false},
		"internal/dataset":   {"github.com/parquet-go/parquet-go": false},
		"internal/dataset/x": {"github.com/parquet-go/parquet-go": true},
	} {
		for imported, allowed := range cases {
			broken := check(goPackage{ImportPath: module + "/" + importer, Imports: []string{imported}})
			require.Equal(t, allowed, len(broken) == 0, "%s importing %s: %v", importer, imported, broken)
		}
	}
}
