package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSeeds(t *testing.T) {
	seeds, err := parseSeeds("42-44,7")
	require.NoError(t, err)
	require.Equal(t, []int64{42, 43, 44, 7}, seeds)
	for _, bad := range []string{"", "x", "5-3", "1-"} {
		_, err := parseSeeds(bad)
		require.ErrorContains(t, err, "-seeds", bad)
	}
}

func TestMissingFilesNameFlagAndOriginals(t *testing.T) {
	t.Setenv("MAINSPRING_TRACES", "")
	for flag, args := range map[string][]string{
		"-nodes": {"-nodes", "absent.csv", "-tasks", "absent.csv"}, "-tasks": {"-nodes", "absent.csv"}, "-policy": {"-policy", "x"},
	} {
		err := run(args, io.Discard)
		require.ErrorContains(t, err, flag)
		if flag != "-policy" {
			require.ErrorContains(t, err, "alibaba/clusterdata")
		}
	}
}
