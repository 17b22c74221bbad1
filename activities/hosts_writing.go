package activities

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// countCheckpoints adds up the time from a checkpoint's first directory to its
// renaming.
func (w *watch) countCheckpoints() {
	entries, err := os.ReadDir(filepath.Join(w.dir, checkpointDir))
	if err != nil {
		return // without checkpoints there is nothing to count
	}
	counted := w.kept.Written
	for _, entry := range entries {
		name, unfinished := strings.CutSuffix(entry.Name(), ".tmp")
		step, ok := stepOf(name)
		if _, seen := w.writing[name]; ok && unfinished && !seen {
			w.writing[name] = time.Now()
		}
		if !ok || unfinished || step <= counted {
			continue
		}
		start, done, ok := checkpointTimes(filepath.Join(w.dir, checkpointDir, name))
		if !ok {
			continue // it was forgotten between two calls
		}
		if seen, found := w.writing[name]; found && (start.IsZero() || seen.Before(start)) {
			start = seen
		}
		if took := done.Sub(start); !start.IsZero() && took > 0 {
			w.kept.Seconds += took.Seconds()
		}
		delete(w.writing, name)
		w.kept.Written, w.kept.WrittenAt, w.dirty = max(w.kept.Written, step), latest(w.kept.WrittenAt, done.UTC()), true
	}
}

// checkpointTimes are when a checkpoint's directory was made, zero when the file
// system does not tell, and when it got its name.
func checkpointTimes(path string) (start, done time.Time, ok bool) {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_BTIME|unix.STATX_CTIME, &st) != nil {
		return start, done, false
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		start = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	return start, time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)), true
}

func born(path string) time.Time {
	start, _, _ := checkpointTimes(path)
	return start
}
