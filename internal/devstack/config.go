package devstack

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// Namespace and Bucket are what every stack uses.
const (
	Namespace = "mainspring"
	Bucket    = "mainspring"
	region    = "us-east-1"
)

// Config describes a stack. StateDir and Tools are required.
type Config struct {
	StateDir string
	Tools    Tools
	Ports    Ports
	// OnlyFreePorts leaves the default ports alone, as tests want it.
	OnlyFreePorts bool
	// ExternalS3 is used in place of a server of the stack's own. Its bucket
	// must exist.
	ExternalS3 *S3Access
	// Program is Mainspring's own executable, for Launch.
	Program string
	// Watchdog is the argument list of a program that calls RunWatchdog on its
	// standard input. Without one, processes that left their supervisor live
	// on when the stack is killed, until the next start on the same directory.
	Watchdog []string
	// Command is shown to whoever starts a second stack on the directory.
	Command string // default "mainspring dev"
	// TemporalSettings are dynamic settings of the Temporal server, "name=JSON",
	// besides those of every stack.
	TemporalSettings []string
	// BeforeServersStop is called by Stop once the programs have ended and
	// while the servers still answer; it may be nil.
	BeforeServersStop func()

	Logger   *slog.Logger           // default: discard
	OnChange func(supervise.Status) // see supervise.Options

	// serverLimit is how often in a row a process may fail before the stack
	// gives up. The default, at about 5 s each, rides out a minute of trouble.
	serverLimit int
}

func (c Config) withDefaults() (Config, error) {
	if c.Command == "" {
		c.Command = "mainspring dev"
	}
	if c.serverLimit == 0 {
		c.serverLimit = 15
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(c.StateDir)
	if err != nil {
		return c, describe("find the state directory", c.StateDir, err)
	}
	c.StateDir = dir
	return c, c.validate()
}

func (c Config) validate() error {
	if c.StateDir == "" {
		return errors.New("a stack needs a state directory")
	}
	for name, path := range map[string]string{
		"Temporal": c.Tools.Temporal, "MLflowPython": c.Tools.MLflowPython, "MLflowTemplate": c.Tools.MLflowTemplate,
	} {
		if path == "" {
			return fmt.Errorf("a stack needs the tool %s; Setup installs it", name)
		}
	}
	if c.ExternalS3 == nil && c.Tools.S3Server == "" {
		return errors.New("a stack needs the tool S3Server or an external S3 endpoint")
	}
	if s := c.ExternalS3; s != nil && (s.Endpoint == "" || s.Bucket == "" || s.AccessKey == "" || s.SecretKey == "") {
		return &Error{
			Op: "use an external S3 endpoint", Subject: s.Endpoint, Err: ErrUnsuitable,
			Hint: "set MAINSPRING_S3_ENDPOINT, MAINSPRING_S3_BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		}
	}
	return nil
}
