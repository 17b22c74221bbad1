package simulation

import (
	"fmt"
	"strings"
	"time"
)

// script remembers the last events, one line each.
type script struct {
	lines [scriptLines]line
	next  int
}

type line struct {
	at        time.Duration
	format    string
	arguments []any
}

const scriptLines = 80

// add keeps arguments as they are: most scripts are never read.
func (s *script) add(at time.Duration, format string, arguments ...any) {
	s.lines[s.next%scriptLines] = line{at, format, arguments}
	s.next++
}

func (s *script) String() string {
	var out strings.Builder
	for i := max(0, s.next-scriptLines); i < s.next; i++ {
		l := s.lines[i%scriptLines]
		fmt.Fprintf(&out, "%12s  %s\n", l.at.Round(time.Millisecond), fmt.Sprintf(l.format, l.arguments...))
	}
	return out.String()
}
