package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/events"
)

type callsCmd struct {
	jsonFlag
	Follow bool `short:"f" help:"Go on with each call that starts or ends, until Ctrl-C."`
}

// Help implements kong's help with an example.
func (callsCmd) Help() string {
	return "Example:\n  linekeeper calls\n  linekeeper calls --follow"
}

// Run prints the calls in progress, and then, if wished, what happens to calls.
func (c callsCmd) Run(s *session) error {
	all, err := s.client.Calls(s.ctx)
	if err != nil {
		return err
	}
	if err := c.print(s, all); err != nil || !c.Follow {
		return err
	}
	return s.follow(0, true, c.JSON, func(e events.Event) bool {
		return e.Kind == events.CallStarted || e.Kind == events.CallEnded
	})
}

func (c callsCmd) print(s *session, all []api.Call) error {
	if c.JSON && c.Follow {
		for _, call := range all { // one object a line, as what follows
			if err := json.NewEncoder(s.out).Encode(call); err != nil {
				return err
			}
		}
		return nil
	}
	if c.JSON {
		return printJSON(s.out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(s.out, "no calls")
		return nil
	}
	rows := [][]string{{"CALL", "FROM", "TO", "ROUTE", "STATE", "FOR", "CODEC", "SRTP", "MOS"}}
	for _, call := range all {
		since := call.Answered
		if since.IsZero() {
			since = call.Started
		}
		mos := ""
		if call.Media.MOS > 0 {
			mos = fmt.Sprintf("%.1f", call.Media.MOS)
		}
		rows = append(rows, []string{call.ID, call.From, call.To, call.Route, call.State,
			ago(s.now, since), call.Media.Codec, call.Media.SRTP, mos})
	}
	table(s.out, rows)
	return nil
}

type eventsCmd struct {
	jsonFlag
	Follow bool `short:"f" help:"Go on with each event that comes, until Ctrl-C."`
	Last   int  `short:"n" default:"50" help:"How many of the latest events to show first, up to 1000."`
}

// Help implements kong's help with an example.
func (eventsCmd) Help() string {
	return "Example:\n  linekeeper events --last 10\n  linekeeper events --follow --json | jq .text"
}

// Run prints the latest events, and those to come if wished.
func (c eventsCmd) Run(s *session) error {
	if c.Last < 0 || c.Last > 1000 {
		return errors.New("--last is a number from 0 to 1000")
	}
	return s.follow(c.Last, c.Follow, c.JSON, func(events.Event) bool { return true })
}

// follow prints the events that wanted picks, one a line.
func (s *session) follow(last int, follow, asJSON bool, wanted func(events.Event) bool) error {
	err := s.client.Events(s.ctx, last, follow, func(e events.Event, missed uint64) error {
		if missed > 0 {
			fmt.Fprintf(s.errs, "linekeeper: %s lost, this reader is too slow\n", plural(int(missed), "event was", "events were"))
		}
		switch {
		case !wanted(e):
			return nil
		case asJSON:
			return json.NewEncoder(s.out).Encode(e)
		}
		_, err := fmt.Fprintln(s.out, eventLine(e))
		return err
	})
	if err == nil && follow && s.ctx.Err() == nil {
		return fmt.Errorf("%w: it ended the stream; it is stopping or restarting", api.ErrUnreachable)
	}
	return err
}

// eventLine prints an event for a person.
func eventLine(e events.Event) string {
	mark := map[events.Severity]string{events.Warning: "!", events.Critical: "!!"}[e.Severity]
	return strings.TrimRight(fmt.Sprintf("%s %-2s %-13s %s", e.Time.Local().Format(time.DateTime), mark, e.Kind, plain(e.Text)), " ")
}
