package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"linekeeper/appliance/api"
)

type statusCmd struct{ jsonFlag }

// Help implements kong's help with an example.
func (statusCmd) Help() string {
	return "Example:\n  linekeeper status\n  linekeeper status --json | jq .mode"
}

// Run prints the appliance at a glance.
func (c statusCmd) Run(s *session) error {
	st, err := s.client.Status(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, st)
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(s.out, "%-12s%s\n", name, plain(fmt.Sprintf(format, args...)))
	}
	row("Mode", "%s for %s", st.Mode, ago(s.now, st.Since))
	if st.Cause != "" {
		row("Cause", "%s", st.Cause)
	}
	row("Site", "%s, revision %d", cmp.Or(st.Site.Name, "no site document"), st.Site.Revision)
	if b := st.Site.ConfirmBefore; b != nil {
		row("", "WAITS: linekeeper site confirm within %s, else taken back", span(b.Sub(s.now)))
	}
	row("Provider", "%s, %s %s", st.Provider.Profile, reachable(st.Provider.Reachable), st.Provider.Target)
	row("Lines", "%d of %d registered", st.Lines.Registered, st.Lines.Total)
	row("Phones", "%d of %d registered", st.Extensions.Registered, st.Extensions.Total)
	row("Calls", "%d active", st.Calls.Active)
	row("Version", "%s, up %s", st.Version, span(time.Duration(st.UptimeS)*time.Second))
	row("Readiness", "%d of 100", st.Readiness.Score)
	for _, f := range st.Readiness.Findings {
		row("", "-%d  %s", f.Points, f.Text.EN)
	}
	for i, a := range st.Alarms {
		if i == 0 {
			fmt.Fprintln(s.out, "\nAlarms")
		}
		fmt.Fprintf(s.out, "  %-9s %s\n", a.Severity, plain(alarmText(a.Title.EN, a.Subject, a.Cause, ago(s.now, a.Since))))
	}
	return nil
}

func alarmText(title, subject, cause, age string) string {
	if subject != "" {
		title += " (" + subject + ")"
	}
	if cause != "" {
		title += ": " + cause
	}
	return title + ", for " + age
}

func reachable(yes bool) string {
	if yes {
		return "reachable at"
	}
	return "NOT reachable at"
}

type phonesCmd struct{ jsonFlag }

// Help implements kong's help with an example.
func (phonesCmd) Help() string { return "Example:\n  linekeeper phones" }

// Run prints the extensions.
func (c phonesCmd) Run(s *session) error {
	all, err := s.client.Extensions(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, all)
	}
	rows := [][]string{{"NUMBER", "NAME", "STATE", "PHONE", "ADDRESS", "LINE"}}
	for _, e := range all {
		line := cmp.Or(e.Line, "none")
		if len(e.Contacts) == 0 {
			rows = append(rows, []string{e.Number, e.Name, absent(s.now, e.LastSeen), "", "", line})
		}
		for i, p := range e.Contacts {
			row := []string{e.Number, e.Name, "registered", p.Agent, p.Transport + " " + p.Address, line}
			if i > 0 {
				row[0], row[1], row[5] = "", "", ""
			}
			rows = append(rows, row)
		}
	}
	table(s.out, rows)
	return nil
}

func absent(now, seen time.Time) string {
	if seen.IsZero() {
		return "never seen"
	}
	return "gone, seen " + ago(now, seen) + " ago"
}

type linesCmd struct {
	jsonFlag
	Retry bool `help:"First let accounts try again that rest because their password was refused three times."`
}

// Help implements kong's help with an example.
func (linesCmd) Help() string {
	return "Example:\n  linekeeper lines\n  linekeeper lines --retry   after the provider has put an account right"
}

// Run prints the cloud accounts; the cause of a line that is not registered
// stands on a line of its own, since it is what the reader came for.
func (c linesCmd) Run(s *session) error {
	if c.Retry {
		if err := s.client.RetryLines(s.ctx); err != nil {
			return err
		}
	}
	all, err := s.client.Lines(s.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.out, all)
	}
	rows := [][]string{{"ACCOUNT", "EXT", "STATE", "FOR", "TARGET"}}
	for _, l := range all {
		rows = append(rows, []string{l.Account, l.Extension, l.State, ago(s.now, l.Since), l.Target})
	}
	table(s.out, rows)
	for _, l := range all {
		if l.Cause != "" {
			fmt.Fprintf(s.out, "%s: %s%s\n", plain(l.Account), plain(l.Cause), lastCode(l))
		}
	}
	return nil
}

func lastCode(l api.Line) string {
	if l.Code == 0 {
		return ""
	}
	return " (SIP " + strconv.Itoa(l.Code) + ")"
}
