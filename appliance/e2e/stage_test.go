package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Stage is a town in which scripts play the phones 22 and 23 and the cloud.
type Stage struct {
	*Town
	Box   *Box
	cloud *SIPp
	idle  bool // the cloud is not to be called
	known int  // call records that have been looked at
}

// stage sets the scene: the cloud plays its script for every call and keeps
// the box's lines registered, the phones are registered and silent. Without a
// script nobody may call the cloud.
func stage(t *testing.T, cloud func(*Script)) *Stage {
	t.Helper()
	t.Parallel()
	s := &Stage{Town: newTown(t, 2), idle: cloud == nil}
	if cloud == nil {
		cloud = func(s *Script) { s.Recv("INVITE", has("Call-ID", "nobody calls")) }
	}
	s.cloud = s.Cloud.Play(t, "cloud", sippAddr+":5060", "", true, cloud)
	s.Box = s.Linekeeper(t, Site{Lines: 2, Server: "udp://" + sippAddr + ":5060", SRTP: "off"})
	for n, desk := range s.Phones {
		registerOne(t, desk, firstExtension+n, desk.addr.String()+":5070", boxLAN+":5060")
	}
	s.Box.AwaitOnline(t, 20*time.Second)
	return s
}

// Callee lets a registered phone (from 0) play a callee.
func (s *Stage) Callee(t *testing.T, n int, script func(*Script)) *SIPp {
	t.Helper()
	return s.Phones[n].Play(t, fmt.Sprintf("callee%d", firstExtension+n), s.Phones[n].addr.String()+":5070", "", false, script)
}

// Caller lets a phone (from 0) play a caller.
func (s *Stage) Caller(t *testing.T, n int, script func(*Script)) *SIPp {
	t.Helper()
	return s.Phones[n].Play(t, fmt.Sprintf("caller%d", firstExtension+n), s.Phones[n].addr.String()+":5072", boxLAN+":5060", false, script)
}

// CloudCalls lets the cloud call an extension's line.
func (s *Stage) CloudCalls(t *testing.T, number string, script func(*Script)) *SIPp {
	t.Helper()
	return s.Cloud.Play(t, "cloud-calls", sippAddr+":5062", contactSeen(t, s.cloud, number), false, script)
}

// Ends wants every script played to its end, the cloud's too, and the daemon to
// hold nothing of their calls.
func (s *Stage) Ends(t *testing.T, within time.Duration, scripts ...*SIPp) {
	t.Helper()
	for _, p := range scripts {
		p.Succeeds(t, within)
		if !strings.Contains(slurp(p.log), played) {
			t.Errorf("%s ended, but its script was not played", p.name)
		}
	}
	s.Box.AwaitIdle(t)
	eventually(t, 10*time.Second, "the cloud's script is played", func() (string, bool) {
		text := slurp(s.cloud.log)
		return text, s.idle || strings.Contains(text, played)
	})
	if err := syscall.Kill(s.cloud.cmd.Process.Pid, syscall.SIGUSR1); err != nil { // ends when all calls have
		t.Fatal(err)
	}
	s.cloud.Succeeds(t, 5*time.Second)
	eventually(t, 40*time.Second, "the daemon holds no call and no media", func() (string, bool) { // a lost answer keeps a call's owner for 64*T1
		page := s.Box.scrape(t)
		calls, known := page[`linekeeper_held{what="call"}`]
		streams := page[`linekeeper_held{what="stream"}`]
		return fmt.Sprintf("%v calls, %v streams", calls, streams), known && calls == 0 && streams == 0
	})
}

// Record is what the daemon keeps of a call.
type Record struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Callee string `json:"callee"`
	Line   string `json:"line"`
	Route  string `json:"route"`
	Blame  string `json:"blame"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// Records asks for the call records, once there are so many.
func (b *Box) Records(t *testing.T, atLeast int) []Record {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", b.socket())
		},
	}}
	var all []Record
	eventually(t, 5*time.Second, "the call is recorded", func() (string, bool) {
		resp, err := client.Get("http://box/api/v1/cdrs")
		if err != nil {
			return err.Error(), false
		}
		defer resp.Body.Close()
		all = nil
		err = json.NewDecoder(resp.Body).Decode(&all)
		return fmt.Sprint(all, err), err == nil && len(all) >= atLeast
	})
	return all
}

// Recorded wants one more call record, and that one as described:
// "22 → 089777001 cloud 200 caller".
func (s *Stage) Recorded(t *testing.T, want string) {
	t.Helper()
	all := s.Box.Records(t, s.known+1)
	if len(all) != s.known+1 {
		t.Errorf("there are %d call records, want %d: %+v", len(all), s.known+1, all)
	}
	r := all[s.known]
	s.known++
	got := fmt.Sprintf("%s → %s %s %d %s", r.From, r.To, r.Route, r.Code, r.Blame)
	if got != want {
		t.Errorf("the call record says %q (%s), want %q", got, r.Reason, want)
	}
	if len(strings.Fields(r.Reason)) == 0 {
		t.Error("the call record gives no reason")
	}
}
