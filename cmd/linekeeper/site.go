package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"linekeeper/appliance/api"
)

type siteShowCmd struct {
	jsonFlag
	Revision int `arg:"" optional:"" help:"Revision to show; without it the one in force."`
}

// Help implements kong's help with an example.
func (siteShowCmd) Help() string { return "Example:\n  linekeeper site show > site.yaml" }

// Run prints a revision of the site document.
func (c siteShowCmd) Run(s *session) error {
	d, err := s.client.Site(s.ctx, c.Revision)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, d)
	}
	_, err = io.WriteString(s.out, d.Text)
	return err
}

type siteApplyCmd struct {
	jsonFlag
	File          string        `arg:"" help:"Site document; - reads standard input."`
	ConfirmWithin time.Duration `default:"60s" help:"A change that touches the network is taken back unless confirmed within this time (10s to 1h)."`
}

// Help implements kong's help with an example.
func (siteApplyCmd) Help() string {
	return "Example:\n  linekeeper site apply site.yaml && linekeeper site confirm"
}

// Run puts a site document in force.
func (c siteApplyCmd) Run(s *session) error {
	text, err := readSite(c.File)
	if err != nil {
		return err
	}
	a, err := s.client.Apply(s.ctx, text, c.ConfirmWithin)
	var p *api.Problem
	if errors.As(err, &p) && len(p.Findings) > 0 {
		for _, f := range p.Findings {
			fmt.Fprintf(s.errs, "%s:%s\n", c.File, plain(f.String()))
		}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, a)
	}
	for _, f := range a.Findings {
		fmt.Fprintf(s.errs, "%s:%s\n", c.File, plain(f.String()))
	}
	return s.applied(a)
}

// readSite reads a document, no more of it than the daemon takes.
func readSite(file string) ([]byte, error) {
	in := os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read site document: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, api.MaxSite+1))
	if err != nil {
		return nil, fmt.Errorf("read site document: %w", err)
	}
	if len(text) > api.MaxSite {
		return nil, fmt.Errorf("%s is larger than the greatest site document, %d KiB", file, api.MaxSite>>10)
	}
	return text, nil
}

// applied says what became of a change.
func (s *session) applied(a api.Applied) error {
	if !a.Changed {
		fmt.Fprintf(s.out, "nothing changed, revision %d stays in force\n", a.Revision.Number)
		return nil
	}
	fmt.Fprintf(s.out, "revision %d is in force%s\n", a.Revision.Number, costText(a.Cost))
	if b := a.Revision.ConfirmBefore; b != nil {
		fmt.Fprintf(s.out, "it is taken back at %s unless you run: linekeeper site confirm\n", b.Local().Format(time.TimeOnly))
	}
	return nil
}

func costText(cost string) string {
	switch cost {
	case "live":
		return " at once; calls go on"
	case "newcalls":
		return "; it reaches the next call"
	case "restart":
		return "; the sockets or lines concerned start anew"
	}
	return ""
}

type siteConfirmCmd struct {
	jsonFlag
}

// Help implements kong's help with an example.
func (siteConfirmCmd) Help() string { return "Example:\n  linekeeper site confirm" }

// Run keeps the change that waits.
func (c siteConfirmCmd) Run(s *session) error {
	r, err := s.client.Confirm(s.ctx, 0)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, r)
	}
	fmt.Fprintf(s.out, "revision %d is confirmed\n", r.Number)
	return nil
}

type siteRollbackCmd struct {
	jsonFlag
	Revision int `arg:"" optional:"" name:"rev" help:"Revision to go back to; without it the change that waits, or else the last one, is taken back."`
}

// Help implements kong's help with an example.
func (siteRollbackCmd) Help() string {
	return "Example:\n  linekeeper site rollback\n  linekeeper site rollback 3"
}

// Run goes back to an earlier revision.
func (c siteRollbackCmd) Run(s *session) error {
	a, err := s.client.Rollback(s.ctx, c.Revision)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, a)
	}
	return s.applied(a)
}

type siteHistoryCmd struct{ jsonFlag }

// Help implements kong's help with an example.
func (siteHistoryCmd) Help() string { return "Example:\n  linekeeper site history" }

// Run lists the revisions.
func (c siteHistoryCmd) Run(s *session) error {
	all, err := s.client.Revisions(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, all)
	}
	rows := [][]string{{"REV", "TIME", "STATE", "FROM", "AUTHOR", "NOTE"}}
	for _, r := range all {
		rows = append(rows, []string{strconv.Itoa(r.Number), r.Time.Local().Format(time.DateTime), r.State, r.Origin, r.Author, r.Note})
	}
	table(s.out, rows)
	return nil
}

type siteDiffCmd struct {
	From int `arg:"" help:"Older revision."`
	To   int `arg:"" optional:"" help:"Newer revision; without it the one in force."`
}

// Help implements kong's help with an example.
func (siteDiffCmd) Help() string { return "Example:\n  linekeeper site diff 3 4" }

// Run prints what changed between two revisions; nothing if they are equal.
func (c siteDiffCmd) Run(s *session) error {
	from, err := s.client.Site(s.ctx, c.From)
	if err != nil {
		return err
	}
	to, err := s.client.Site(s.ctx, c.To)
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.out, diff(from.Text, to.Text))
	return err
}
