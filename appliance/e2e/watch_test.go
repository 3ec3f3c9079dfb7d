package e2e

import (
	"encoding/xml"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Watch starts a key module of SIPp: an extension of the n-th phone host that
// watches something of another.
func (s *Stage) Watch(t *testing.T, n, port int, own, watched, pack string) *SIPp {
	t.Helper()
	list := filepath.Join(t.TempDir(), "watch.csv")
	writeFile(t, list, fmt.Sprintf("SEQUENTIAL\n%s;%s;%s;[authentication username=%s password=phone-secret-%s]\n", watched, own, pack, own, own))
	registrar := boxLAN + ":5060"
	at := fmt.Sprintf("%s:%d", s.Phones[n].addr, port)
	return s.Phones[n].SIPp(t, "watch", at, registrar, "-auth_uri", watched+"@"+registrar, "-inf", list, "-m", "1", "-timeout", "150s", "-mp", strconv.Itoa(port+1000))
}

// Notice is a NOTIFY that came in.
type Notice struct {
	Seq     int
	State   string // Subscription-State
	Body    string
	Version int
	Dialogs []string // "recipient early 23"
}

var seqOf = regexp.MustCompile(`(?m)^CSeq: (\d+) NOTIFY`)

// notices are the NOTIFYs that SIPp has heard, repetitions left out.
func (s *SIPp) notices(t *testing.T) (all []Notice) {
	t.Helper()
	for part := range strings.SplitSeq(s.Messages(), "message received") {
		_, text, _ := strings.Cut(part, "\n\n")
		text, _, _ = strings.Cut(text, "\n----")
		text = strings.ReplaceAll(text, "\r", "")
		head, body, _ := strings.Cut(text, "\n\n")
		m := seqOf.FindStringSubmatch(head)
		if m == nil || !strings.HasPrefix(head, "NOTIFY ") {
			continue
		}
		n := Notice{Body: body}
		n.Seq, _ = strconv.Atoi(m[1])
		_, n.State, _ = strings.Cut(head, "Subscription-State: ")
		n.State, _, _ = strings.Cut(n.State, "\n")
		if strings.Contains(head, "dialog-info") {
			n.read(t)
		}
		if len(all) == 0 || all[len(all)-1].Seq != n.Seq {
			all = append(all, n)
		}
	}
	return all
}

// read takes a dialog-info document apart.
func (n *Notice) read(t *testing.T) {
	t.Helper()
	var doc struct {
		Version int `xml:"version,attr"`
		Dialogs []struct {
			Direction string `xml:"direction,attr"`
			State     string `xml:"state"`
			Remote    string `xml:"remote>identity"`
		} `xml:"dialog"`
	}
	if err := xml.Unmarshal([]byte(n.Body), &doc); err != nil {
		t.Fatalf("dialog-info cannot be read: %v\n%s", err, n.Body)
	}
	n.Version = doc.Version
	for _, d := range doc.Dialogs {
		user, _, _ := strings.Cut(strings.TrimPrefix(d.Remote, "sip:"), "@")
		n.Dialogs = append(n.Dialogs, d.Direction+" "+d.State+" "+user)
	}
}

// shows waits until the last NOTIFYs from the n-th on have shown these lamps in
// this order, others between them let be; it returns how many there were.
func (s *SIPp) shows(t *testing.T, from int, within time.Duration, lamps ...string) int {
	t.Helper()
	total := 0
	eventually(t, within, "lamps "+strings.Join(lamps, " → "), func() (string, bool) {
		all := s.notices(t)
		total = len(all)
		var seen []string
		want := lamps
		for _, n := range all[min(from, len(all)):] {
			lamp := strings.Join(n.Dialogs, "+")
			seen = append(seen, lamp)
			if len(want) > 0 && lamp == want[0] {
				want = want[1:]
			}
		}
		return fmt.Sprintf("%q", seen), len(want) == 0 && seen[len(seen)-1] == lamps[len(lamps)-1]
	})
	return total
}

// rise wants numbers and versions that only rise.
func rise(t *testing.T, all []Notice) {
	t.Helper()
	for i := 1; i < len(all); i++ {
		if all[i].Seq <= all[i-1].Seq || all[i].Version <= all[i-1].Version {
			t.Errorf("number %d version %d after number %d version %d", all[i].Seq, all[i].Version, all[i-1].Seq, all[i-1].Version)
		}
	}
}

// TestKeysShowCallsOverAPowerCutAndAnOutage lets SIPp watch a phone through two
// calls: one before the daemon is killed, one after it and without the cloud.
// The key subscribes once; what it is told never goes back.
func TestKeysShowCallsOverAPowerCutAndAnOutage(t *testing.T) {
	s := stage(t, nil)
	key := s.Watch(t, 1, 5074, "23", "22", "dialog")
	n := key.shows(t, 0, 5*time.Second, "")
	call := func() {
		t.Helper()
		callee := s.Callee(t, 0, func(s *Script) {
			s.Recv("INVITE")
			s.Reply("180")
			s.Pause(500 * time.Millisecond)
			s.Reply("200", sdp("sendrecv"))
			s.Recv("ACK")
			s.Recv("BYE")
			s.Reply("200")
		})
		caller := s.Caller(t, 1, func(s *Script) {
			s.Dial("23", "22", sdp("sendrecv"))
			s.Recv("180")
			s.Recv("200")
			s.Ack()
			s.Pause(500 * time.Millisecond)
			s.Ask("BYE")
			s.Recv("200")
		})
		n = key.shows(t, n, 10*time.Second, "recipient early 23", "recipient confirmed 23", "")
		callee.Succeeds(t, 5*time.Second)
		caller.Succeeds(t, 5*time.Second)
	}
	call()
	pass(time.Second) // what a power cut may cost
	s.Box.Kill()
	s.Box.Up(t)
	n = key.shows(t, n, 10*time.Second, "") // told anew, without having asked
	s.Box.AwaitOnline(t, 30*time.Second)
	cut := time.Now()
	s.CutLine()
	s.Box.AwaitSurvival(t, cut, 20*time.Second) // nothing was on its way when the line went
	call()
	rise(t, key.notices(t))
	s.MendLine()
	s.Box.AwaitOnline(t, 30*time.Second)
}

// TestBaresipShowsTheMailboxOfTheCloud lets a phone that nobody here wrote
// subscribe to its lamp, and the cloud light it.
func TestBaresipShowsTheMailboxOfTheCloud(t *testing.T) {
	s := stage(t, nil)
	phone := s.Phone(t, 0, hzNear, func(a *Account) { a.MWI = true })
	phone.Proc.Await(t, `Messages-Waiting: no\s+Message-Account: sip:22@\S+\s+Voice-Message: 0/0`, 10*time.Second)
	for _, lamp := range [][2]string{{"yes", "2"}, {"no", "0"}} {
		list := filepath.Join(t.TempDir(), "mailbox.csv")
		writeFile(t, list, "SEQUENTIAL\n22;"+lamp[1]+";"+lamp[0]+"\n")
		s.Cloud.SIPp(t, "mailbox", sippAddr+":5062", contactSeen(t, s.cloud, "22"), "-inf", list, "-m", "1", "-mp", "6100").Succeeds(t, 10*time.Second)
		phone.Proc.Await(t, `Messages-Waiting: `+lamp[0]+`\s+Message-Account: \S+\s+Voice-Message: `+lamp[1]+`/3`, 5*time.Second)
	}
}
