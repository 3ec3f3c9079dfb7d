package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"linekeeper/appliance/api"
	"linekeeper/appliance/config/settings"
)

// Exit codes of every command.
const (
	exitOK      = 0
	exitFinding = 1
	exitUsage   = 2
)

// errFinding ends a command with exit code 1; what was found is printed by then.
var errFinding = errors.New("a check failed")

// cli is the command line.
type cli struct {
	Socket  string           `help:"Unix socket of the daemon. Default: LINEKEEPER_API_SOCKET, api.socket of /etc/linekeeper/appliance.yaml, /run/linekeeper/api.sock." placeholder:"PATH"`
	Version kong.VersionFlag `help:"Print the version and end."`

	Run    runCmd    `cmd:"" help:"Run the daemon."`
	Demo   demoCmd   `cmd:"" help:"Play a day at a site with nothing to install."`
	Check  checkCmd  `cmd:"" help:"Check a site document and print every finding."`
	Status statusCmd `cmd:"" help:"Show how the appliance is."`
	Phones phonesCmd `cmd:"" help:"Show the extensions and who is registered for them."`
	Lines  linesCmd  `cmd:"" help:"Show the cloud accounts and their registration."`
	Calls  callsCmd  `cmd:"" help:"Show the calls in progress."`
	Events eventsCmd `cmd:"" help:"Show what happened lately."`
	Site   siteCmd   `cmd:"" help:"Show and change the versioned site document."`
}

// siteCmd are the commands on the site document.
type siteCmd struct {
	Show     siteShowCmd     `cmd:"" help:"Print the site document in force, secrets redacted."`
	Apply    siteApplyCmd    `cmd:"" help:"Check a site document and put it in force."`
	Confirm  siteConfirmCmd  `cmd:"" help:"Keep the change that waits to be confirmed."`
	Rollback siteRollbackCmd `cmd:"" help:"Go back to an earlier revision."`
	History  siteHistoryCmd  `cmd:"" help:"List the revisions."`
	Diff     siteDiffCmd     `cmd:"" help:"Compare two revisions."`
}

// jsonFlag is on every command that prints data.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON for scripts."`
}

// session is what a command works with.
type session struct {
	ctx    context.Context
	client *api.Client
	out    io.Writer
	errs   io.Writer
	now    time.Time
}

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	var c cli
	done, code := false, exitOK // --help and --version are done once parsed
	parser, err := kong.New(&c,
		kong.Name("linekeeper"),
		kong.Description("The appliance between an office's telephones and its cloud PBX."),
		kong.Writers(out, errs),
		kong.Vars{"version": "linekeeper " + versionText(), "settings": settings.File},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80}),
		kong.Exit(func(c int) { done, code = true, c }),
	)
	if err != nil {
		fmt.Fprintln(errs, "linekeeper: command line:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	cmd, err := parser.Parse(args)
	if done {
		return code
	}
	if err == nil && c.Socket == "" {
		c.Socket, err = socketOfSettings(settings.File, os.Environ())
	}
	if err != nil {
		fmt.Fprintf(errs, "linekeeper: %v\nsee linekeeper --help\n", err)
		return exitUsage
	}
	s := &session{ctx: ctx, client: api.NewClient(c.Socket), out: out, errs: errs, now: time.Now()}
	return s.ended(cmd.Run(s))
}

// ended prints why a command failed and returns its exit code.
func (s *session) ended(err error) int {
	var p *api.Problem
	switch {
	case err == nil, errors.Is(err, context.Canceled) && s.ctx.Err() != nil:
		return exitOK // Ctrl-C is how following ends
	case errors.Is(err, errFinding):
		return exitFinding
	case errors.As(err, &p):
		fmt.Fprintln(s.errs, "linekeeper:", p.Detail)
		if p.Status >= 500 || p.Status == http.StatusBadRequest {
			return exitUsage
		}
		return exitFinding
	}
	fmt.Fprintln(s.errs, "linekeeper:", err)
	return exitUsage
}

// socketOfSettings returns the socket that a daemon with these settings and
// environment listens on. Settings that can't be read for want of permission
// are the daemon's own business: the default stands.
func socketOfSettings(path string, environ []string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("read settings: %w", err)
	}
	s, err := settings.Parse(path, text, environ)
	if err != nil {
		return "", err
	}
	return s.API.Socket, nil
}
