//go:build soak

package e2e

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var soakFor = flag.Duration("soak", 30*time.Minute, "how long the traffic of TestSoakLeavesNothingBehind lasts")

const (
	// warmUp fills pools, caches and maps before the base line is taken.
	warmUp = 20 * time.Second
	// longRest is how long the daemon may need to forget: an unacknowledged
	// answer, the BYE that nobody answers, and their transactions, 32 s each.
	longRest = 150 * time.Second
)

// TestSoakLeavesNothingBehind mixes registrations, calls inside and outside,
// transfers, cancels, refusals, watchers, phones that vanish and malformed messages, by UDP and TCP,
// for as long as it is told, and wants the daemon to be back at its base line
// after a rest, and every call that was meant to go well to have gone well.
func TestSoakLeavesNothingBehind(t *testing.T) {
	s := newSoak(t)
	begin := time.Now()
	s.traffic(t, warmUp, time.Hour)
	before := s.rest(t, "warm", func(h holding) string {
		if h.Calls+h.Streams+h.Ports+h.Connections+h.Subscriptions > 0 || h.Transactions > 6 {
			return h.row("still")
		}
		return ""
	})
	fmt.Printf("base line after %v\n%s\n", time.Since(begin).Round(time.Second), s.heading())
	fmt.Println(before.row("base"))
	s.traffic(t, *soakFor, time.Minute)
	after := s.rest(t, "rested", func(h holding) string { return strings.Join(leaks(before, h), "; ") })
	fmt.Println(s.heading())
	fmt.Println(before.row("base"))
	fmt.Println(after.row("end", s.tally()))
	for _, found := range leaks(before, after) {
		t.Error("left behind: " + found)
	}
	s.judge(t)
}

// soak is the scene of a soak.
type soak struct {
	town  *Town
	box   *Box
	list  []stream
	cloud *Stream
	done  map[string]*tally
}

// tally sums up the calls of one kind.
type tally struct{ good, poor int }

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{town: newTown(t, 4), done: map[string]*tally{}}
	s.cloud = stream{name: "the cloud", host: s.town.Cloud, port: 5060, file: "cloud", more: []string{"-i", sippAddr, "-mi", sippAddr}}.start(t)
	s.box = s.town.Linekeeper(t, Site{Lines: 42, Server: "udp://" + sippAddr + ":5060", SRTP: "off", Log: "warn"})
	for i, port := range []string{":5070", ":5071", ":5072"} {
		registerOne(t, s.town.Phones[1], firstExtension+1+i, s.town.Phones[1].addr.String()+port, boxLAN+":5060")
	}
	for i, port := range []string{":5073", ":5074"} {
		registerOne(t, s.town.Phones[1], 62+i, s.town.Phones[1].addr.String()+port, boxLAN+":5060")
	}
	s.box.AwaitOnline(t, 60*time.Second)
	s.list = traffic(s.town, users(t, 26, 45), users(t, 46, 61))
	return s
}

// users is a file with the credentials of some extensions.
func users(t *testing.T, from, to int) string {
	t.Helper()
	text := "SEQUENTIAL\n"
	for n := from; n <= to; n++ {
		text += fmt.Sprintf("%d;[authentication username=%d password=phone-secret-%d]\n", n, n, n)
	}
	file := filepath.Join(t.TempDir(), "users.csv")
	writeFile(t, file, text)
	return file
}

// traffic lets all streams flow for a while and prints a row now and then.
func (s *soak) traffic(t *testing.T, length, every time.Duration) {
	t.Helper()
	var flowing []*Stream
	for _, x := range s.list {
		flowing = append(flowing, x.start(t))
	}
	end := make(chan struct{})
	var vandals sync.WaitGroup
	vandals.Go(func() { vandal(t, s.town.Phones[3], end) })
	for begin := time.Now(); time.Since(begin) < length; {
		pass(min(every, length-time.Since(begin)))
		if every < length {
			for _, p := range flowing {
				p.count()
			}
			fmt.Println(s.holding(t).row(time.Since(begin).Round(time.Second).String(), s.tally(flowing...)))
		}
	}
	close(end)
	vandals.Wait()
	for _, begins := range []bool{true, false} { // callers first: who is called has to answer to the end
		for _, p := range flowing {
			if p.calls == begins {
				p.stop(t)
			}
		}
		for _, p := range flowing {
			if p.calls == begins {
				p.ended(t)
				s.add(p)
			}
		}
	}
}

func (s *soak) add(p *Stream) {
	sum := s.done[p.name]
	if sum == nil {
		sum = &tally{}
		s.done[p.name] = sum
	}
	sum.good, sum.poor = sum.good+p.good, sum.poor+p.poor
}

// tally says how many calls of the callers went well and badly, those of
// streams that still flow included.
func (s *soak) tally(flowing ...*Stream) string {
	var sum tally
	for _, x := range s.list {
		if d := s.done[x.name]; d != nil && x.to != "" {
			sum.good, sum.poor = sum.good+d.good, sum.poor+d.poor
		}
	}
	for _, p := range flowing {
		if p.calls {
			sum.good, sum.poor = sum.good+p.good, sum.poor+p.poor
		}
	}
	return fmt.Sprintf("%6d well %d badly", sum.good, sum.poor)
}

func (s *soak) heading() string { return heading("scripts played") }

// forgiven is the share of a caller's scripts that may go badly: SIPp knows a
// repeated message only right behind its first, and on a busy machine another
// one comes between now and then.
const forgiven = 0.01

// judge wants every caller to have had calls, and as good as all of them well.
func (s *soak) judge(t *testing.T) {
	t.Helper()
	for _, x := range s.list {
		d := s.done[x.name]
		fmt.Printf("  %-20s %6d well %d badly\n", x.name, d.good, d.poor)
		if x.to != "" && (d.good == 0 || float64(d.poor) > forgiven*float64(d.good)) {
			t.Errorf("%s: %d scripts went well, %d badly", x.name, d.good, d.poor)
		}
	}
}

// rest lets the daemon rest until nothing is wanting, and a garbage collection
// has looked at what is left.
func (s *soak) rest(t *testing.T, what string, wanting func(holding) string) holding {
	t.Helper()
	begin := time.Now()
	var h holding
	for {
		collected := s.box.metric(t, "go_memstats_last_gc_time_seconds")
		asked := time.Now()
		for s.box.metric(t, "go_memstats_last_gc_time_seconds") == collected { // scrapes make garbage; two minutes at the latest
			if time.Since(asked) > longRest {
				t.Fatal("no garbage collection")
			}
		}
		if h = s.holding(t); wanting(h) == "" || time.Since(begin) > longRest {
			fmt.Println(h.row(what), "after", time.Since(begin).Round(time.Second), wanting(h))
			return h
		}
		pass(2 * time.Second)
	}
}

// holding asks the daemon and the kernel.
func (s *soak) holding(t *testing.T) holding {
	t.Helper()
	m := s.box.scrape(t)
	held := func(what string) float64 {
		n, ok := m[`linekeeper_held{what="`+what+`"}`]
		if !ok {
			t.Fatalf("the daemon does not say what it holds: %s", what)
		}
		return n
	}
	return holding{
		Goroutines: m["go_goroutines"], Files: float64(s.box.files(t)), Resident: float64(s.box.resident(t)), Heap: m["go_gc_heap_live_bytes"],
		Calls: held("call"), Transactions: held("transaction"), Streams: held("stream"), Contacts: held("contact"), Connections: held("connection"),
		Subscriptions: held("subscription"), Ports: float64(s.box.mediaPorts()),
	}
}

// mediaPorts counts the UDP sockets in the ranges of the site document's media_ports.
func (b *Box) mediaPorts() int {
	n := 0
	for row := range strings.Lines(slurp("/proc/" + strconv.Itoa(b.cmd.Process.Pid) + "/net/udp")) {
		words := strings.Fields(row)
		if len(words) < 2 {
			continue
		}
		_, hex, _ := strings.Cut(words[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil && (port >= 20000 && port < 24000 || port >= 30000 && port <= 33000) {
			n++
		}
	}
	return n
}

// row is one line of the soak's table.
func (h holding) row(name string, more ...string) string {
	row := fmt.Sprintf("%-10s", name)
	for _, b := range bounds() {
		row += fmt.Sprintf(" %9.5g", b.of(h)/b.unit)
	}
	return row + " " + strings.Join(more, " ")
}

// heading is the line above the rows.
func heading(more ...string) string {
	row := fmt.Sprintf("%-10s", "")
	for _, b := range bounds() {
		row += fmt.Sprintf(" %9s", b.what)
	}
	return row + " " + strings.Join(more, " ")
}
