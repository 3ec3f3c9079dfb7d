package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"linekeeper/sbc/sip"
)

func domainOf(t sip.Transport) Source { return Source{Domain: "pbx.test", Transport: t} }

func oneServer(host string, port uint16) Source {
	return Source{Servers: []Server{{sip.UDP, host, port}}}
}

// settle lets what is under way come to rest, without any time passing.
func settle() { synctest.Wait() }

// pass lets time go by.
func pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func TestAddressesNeedNoDNSAndAreReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		z.hush(true)
		begin := time.Now()
		w := start(t, z.exchange, Source{Servers: []Server{{sip.TLS, "192.0.2.1", 0}, {sip.UDP, "[2001:db8::1]", 5070}, {sip.TCP, "2001:db8::2", 0}}})
		if at := <-w.ready; at != begin {
			t.Errorf("ready after %v", at.Sub(begin))
		}
		settle()
		w.want(t, "tls://192.0.2.1:5061 udp://[2001:db8::1]:5070 tcp://[2001:db8::2]:5060", Unknown)
		pass(3 * time.Hour)
		if z.count() != 0 {
			t.Errorf("asked %q", z.asked)
		}
	})
}

func TestDomainGoesByNAPTRThenSRVThenAddresses(t *testing.T) {
	pointers := []string{
		`pbx.test. NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.pbx.test.`,
		`pbx.test. NAPTR 10 20 "s" "SIP+D2T" "" _sip._tcp.pbx.test.`,
		`pbx.test. NAPTR 10 10 "S" "sips+d2t" "" tls.elsewhere.test.`,
		`pbx.test. NAPTR 5 10 "u" "E2U+sip" "!x!y!" .`,
		`tls.elsewhere.test. SRV 10 0 5071 a.test.`,
		`_sip._tcp.pbx.test. SRV 10 0 5072 a.test.`,
		`_sip._udp.pbx.test. SRV 10 0 5073 a.test.`,
		`a.test. A 192.0.2.1`,
	}
	services := []string{
		`_sips._tcp.pbx.test. SRV 20 0 5062 b.test.`, `_sips._tcp.pbx.test. SRV 10 0 5061 a.test.`,
		`_sip._udp.pbx.test. SRV 10 0 5060 a.test.`,
		`a.test. A 192.0.2.1`, `b.test. A 192.0.2.2`, `b.test. AAAA 2001:db8::2`, `pbx.test. A 192.0.2.99`,
	}
	for name, c := range map[string]struct {
		records []string
		source  Source
		want    string
	}{
		"pointers of one transport":    {pointers, domainOf(sip.TLS), "tls://192.0.2.1:5071"},
		"pointers of all transports":   {pointers, domainOf(""), "tls://192.0.2.1:5071 tcp://192.0.2.1:5072 udp://192.0.2.1:5073"},
		"services of one transport":    {services, domainOf(sip.TLS), "tls://192.0.2.1:5061 tls://192.0.2.2:5062 tls://[2001:db8::2]:5062"},
		"services of all transports":   {services, domainOf(""), "tls://192.0.2.1:5061 tls://192.0.2.2:5062 tls://[2001:db8::2]:5062 udp://192.0.2.1:5060"},
		"no service of this transport": {services, domainOf(sip.TCP), "tcp://192.0.2.99:5060"},
		"addresses at the given port":  {services, Source{Domain: "pbx.test", Transport: sip.TCP, Port: 5080}, "tcp://192.0.2.99:5080"},
		"a server with a port":         {services, oneServer("b.test", 5070), "udp://192.0.2.2:5070 udp://[2001:db8::2]:5070"},
		"a server without a port":      {services, oneServer("pbx.test", 0), "udp://192.0.2.1:5060"},
		"a domain that is an address":  {nil, Source{Domain: "192.0.2.7", Transport: sip.TLS}, "tls://192.0.2.7:5061"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, newZone(t, c.records...).exchange, c.source)
				<-w.ready
				settle()
				if got := text(w.Targets()); got != c.want {
					t.Errorf("got %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

func TestCertificateMustCarryTheNameOfTheSiteNotThatOfDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, newZone(t, `_sips._tcp.pbx.test. SRV 1 0 5061 evil.example.`, `evil.example. A 192.0.2.66`).exchange, domainOf(sip.TLS))
		<-w.ready
		settle()
		if ts := w.Targets(); len(ts) != 1 || ts[0].ServerName != "pbx.test" {
			t.Errorf("got %+v", ts)
		}
	})
}

func TestServiceThatIsSaidNotToExistIsNotSoughtElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, newZone(t, `_sips._tcp.pbx.test. SRV 0 0 0 .`, `pbx.test. A 192.0.2.99`).exchange, domainOf(sip.TLS))
		<-w.ready
		settle()
		w.want(t, "", Bad)
		if h := w.Health(); !strings.Contains(h.Cause, "not available") {
			t.Errorf("cause %q", h.Cause)
		}
	})
}

func TestForwarderThatDoesNotKnowNAPTRIsNoObstacle(t *testing.T) {
	for _, code := range []int{dns.RcodeServerFailure, dns.RcodeNotImplemented, dns.RcodeFormatError, dns.RcodeRefused} {
		synctest.Test(t, func(t *testing.T) {
			z := newZone(t, `_sip._udp.pbx.test. SRV 1 0 5060 a.test.`, `a.test. A 192.0.2.1`)
			z.fail("NAPTR pbx.test.", code)
			w := start(t, z.exchange, domainOf(sip.UDP))
			<-w.ready
			settle()
			w.want(t, "udp://192.0.2.1:5060", Good)
			if h := w.Health(); h.Cause != "" {
				t.Errorf("cause %q", h.Cause)
			}
		})
	}
}

func TestChangeIsSeenBeforeTheTTLRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. 100 A 192.0.2.1`)
		w := start(t, z.exchange, oneServer("a.test", 5060))
		<-w.ready
		settle()
		z.set(t, `a.test. 100 A 192.0.2.2`)
		pass(79 * time.Second)
		w.want(t, "udp://192.0.2.1:5060", Good)
		pass(2 * time.Second)
		w.want(t, "udp://192.0.2.2:5060", Good)
		if n, _ := w.told(); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestPauseBetweenRoundsIsBounded(t *testing.T) {
	for ttl, want := range map[string]int{"0": 3600/5 + 1, "604800": 2, "4294967295": 3600/5 + 1} { // the last one means 0
		synctest.Test(t, func(t *testing.T) {
			z := newZone(t, `a.test. `+ttl+` A 192.0.2.1`, `a.test. `+ttl+` AAAA 2001:db8::1`)
			w := start(t, z.exchange, oneServer("a.test", 5060))
			<-w.ready
			pass(time.Hour)
			if got := z.count() / 2; got != want {
				t.Errorf("ttl %s: %d rounds in an hour, want %d", ttl, got, want)
			}
		})
	}
}

func TestTargetsStayBeyondTheirTTLWhileDNSIsAway(t *testing.T) {
	records := []string{`_sip._udp.pbx.test. 60 SRV 1 0 5060 a.test.`, `a.test. 60 A 192.0.2.1`}
	for name, away := range map[string]func(*zone){
		"SERVFAIL": func(z *zone) { z.fail("", dns.RcodeServerFailure) },
		"REFUSED":  func(z *zone) { z.fail("", dns.RcodeRefused) },
		"silence":  func(z *zone) { z.hush(true) },
		"NXDOMAIN": func(z *zone) { z.fail("", dns.RcodeNameError) },
		"nothing":  func(z *zone) { z.fail("", dns.RcodeSuccess) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := newZone(t, records...)
				w := start(t, z.exchange, domainOf(sip.UDP))
				<-w.ready
				settle()
				away(z)
				pass(2 * time.Hour)
				w.want(t, "udp://192.0.2.1:5060", Bad)
				if h := w.Health(); h.Cause == "" || time.Since(h.Answered) < time.Hour || time.Since(h.Since) > 2*time.Hour {
					t.Errorf("health %+v", h)
				}
				z.set(t, records...)
				pass(time.Minute)
				w.want(t, "udp://192.0.2.1:5060", Good)
				changes, verdicts := w.told()
				if changes != 1 || !slices.Equal(verdicts, []Verdict{Good, Bad, Good}) {
					t.Errorf("told %d changes and %v", changes, verdicts)
				}
			})
		})
	}
}

func TestRoomIsReadyAfterThreeSecondsOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		z.hush(true)
		begin := time.Now()
		w := start(t, z.exchange, domainOf(sip.TLS))
		if at := <-w.ready; at.Sub(begin) != readyWithin {
			t.Errorf("ready after %v", at.Sub(begin))
		}
		pass(time.Minute)
		w.want(t, "", Bad)
		z.set(t, `pbx.test. A 192.0.2.1`)
		pass(maxRetry + roundWithin)
		w.want(t, "tls://192.0.2.1:5061", Good)
	})
}

func TestSilenceIsReportedWithinSecondsHoweverManyNamesThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		var s Source
		for _, host := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			s.Servers = append(s.Servers, Server{sip.TLS, host + ".test", 5061})
			z.set(t, append(recordsOf(z), host+`.test. 60 A 192.0.2.1`)...)
		}
		w := start(t, z.exchange, s)
		<-w.ready
		settle()
		z.hush(true)
		w.Kick()
		pass(restless + (passes+1)*patience)
		w.want(t, strings.TrimSpace(strings.Repeat("tls://192.0.2.1:5061 ", 8)), Bad) // one for each name to prove
	})
}

// recordsOf writes a zone's records as text.
func recordsOf(z *zone) (all []string) {
	for _, rr := range z.records {
		all = append(all, rr.String())
	}
	return all
}

func TestPartThatIsNotAnsweredStaysBesideWhatIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. A 192.0.2.1`, `b.test. A 192.0.2.2`)
		w := start(t, z.exchange, Source{Servers: []Server{{sip.TLS, "a.test", 5061}, {sip.TLS, "b.test", 5061}}})
		<-w.ready
		settle()
		z.set(t, `a.test. A 192.0.2.9`, `b.test. A 192.0.2.2`)
		z.fail("A b.test.", dns.RcodeServerFailure)
		for range 3 {
			pass(time.Hour)
			w.want(t, "tls://192.0.2.9:5061 tls://192.0.2.2:5061", Good)
		}
		if h := w.Health(); !strings.Contains(h.Cause, "SERVFAIL") {
			t.Errorf("cause %q", h.Cause)
		}
	})
}

func TestOrderStaysWhileTheAnswerHoldsTheSameTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := func(n string) string { return `_sip._udp.pbx.test. 60 SRV 1 10 5060 ` + n + `.test.` }
		hosts := []string{`a.test. A 192.0.2.1`, `a.test. A 192.0.2.11`, `b.test. A 192.0.2.2`, `c.test. A 192.0.2.3`}
		z := newZone(t, append(hosts, srv("a"), srv("b"), srv("c"))...)
		turn := 0
		w := start(t, z.exchange, domainOf(sip.UDP), func(d *Deps) { d.IntN = func(n int) int { turn++; return (turn * 7) % n } })
		<-w.ready
		settle()
		first := text(w.Targets())
		slices.Reverse(hosts)
		z.set(t, append(hosts, srv("c"), srv("a"), srv("b"))...)
		pass(10 * time.Minute)
		w.want(t, first, Good)
		z.set(t, append(hosts, `d.test. A 192.0.2.4`, srv("d"), srv("c"), srv("a"), srv("b"))...)
		pass(10 * time.Minute)
		w.want(t, first+" udp://192.0.2.4:5060", Good)
		if n, _ := w.told(); n != 2 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestAliasesAreFollowedButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. 50 CNAME b.test.`, `b.test. CNAME c.test.`, `c.test. A 192.0.2.1`)
		w := start(t, z.exchange, oneServer("a.test", 5060))
		<-w.ready
		settle()
		w.want(t, "udp://192.0.2.1:5060", Good)
		// a server that leaves the end of the chain to us
		z.twist = func(q, r *dns.Msg, _ string) {
			if len(r.Answer) > 1 {
				r.Answer = r.Answer[:1]
			}
		}
		z.set(t, `a.test. 50 CNAME b.test.`, `b.test. CNAME c.test.`, `c.test. A 192.0.2.5`)
		pass(40 * time.Second)
		w.want(t, "udp://192.0.2.5:5060", Good)
		z.set(t, `a.test. CNAME b.test.`, `b.test. CNAME a.test.`)
		before := z.count()
		pass(40 * time.Second)
		w.want(t, "udp://192.0.2.5:5060", Bad)
		if n := z.count() - before; n > 4*2*maxAliases {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestAddressesWithoutRouteComeLastAndBlockedOnesNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. A 0.0.0.0`, `a.test. A 192.0.2.1`, `a.test. AAAA ::`, `a.test. AAAA 2001:db8::1`)
		w := start(t, z.exchange, oneServer("a.test", 5060), func(d *Deps) { d.Usable = netip.Addr.Is6 })
		<-w.ready
		settle()
		w.want(t, "udp://[2001:db8::1]:5060 udp://192.0.2.1:5060", Good)
	})
}

func TestHugeAnswersAreCutToTheirBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var records []string
		for i := range 1000 {
			records = append(records, fmt.Sprintf(`_sip._udp.pbx.test. SRV %d 0 5060 h%d.test.`, i, i),
				fmt.Sprintf(`h%d.test. A 10.0.%d.%d`, i, i/256, i%256), fmt.Sprintf(`h%d.test. AAAA 2001:db8::%x`, i, i+1))
		}
		z := newZone(t, records...)
		w := start(t, z.exchange, domainOf(sip.UDP))
		<-w.ready
		settle()
		if n := len(w.Targets()); n != min(2*maxRecords, maxTargets) || z.count() > maxQuestions {
			t.Errorf("%d targets of %d questions", n, z.count())
		}
	})
}

func TestNewSourceDropsTheOldTargetsAndTheSameOneChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. A 192.0.2.1`, `b.test. A 192.0.2.2`)
		w := start(t, z.exchange, oneServer("a.test", 5060))
		<-w.ready
		settle()
		asked := z.count()
		w.SetSource(oneServer("A.test", 5060))
		settle()
		if z.count() != asked {
			t.Error("the same source was asked for again")
		}
		z.hush(true)
		w.SetSource(Source{Servers: []Server{{sip.UDP, "b.test", 5060}, {sip.UDP, "192.0.2.7", 5060}, {sip.UDP, "a.test", 5060}}})
		settle()
		w.want(t, "udp://192.0.2.7:5060 udp://192.0.2.1:5060", Unknown) // b.test is not known yet
		z.hush(false)
		w.SetSource(oneServer("b.test", 5060)) // while the round before waits in vain
		settle()
		w.want(t, "udp://192.0.2.2:5060", Good)
	})
}

func TestKickAsksAgainAtOnceAndAFloodOfThemDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t, `a.test. 3600 A 192.0.2.1`)
		w := start(t, z.exchange, oneServer("a.test", 5060))
		<-w.ready
		z.hush(true)
		pass(time.Minute)
		w.Kick()
		pass(2 * time.Second) // that round waits in vain
		z.set(t, `a.test. 3600 A 192.0.2.2`)
		w.Kick()
		settle()
		w.want(t, "udp://192.0.2.2:5060", Good)
		before := z.count()
		for range 1000 {
			w.Kick()
			pass(time.Millisecond)
		}
		if n := z.count() - before; n > 4 {
			t.Errorf("asked %d times within a second", n)
		}
	})
}

// disk is a Saver in memory.
type disk struct {
	saved Saved
	err   error
}

func (d *disk) Save(s Saved) error {
	if d.err == nil {
		d.saved = s
	}
	return d.err
}
func (d *disk) Load() (Saved, error) { return d.saved, d.err }

func TestRestartWithoutDNSKnowsTheLastTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, d := newZone(t, `_sip._udp.pbx.test. SRV 1 0 5060 a.test.`, `a.test. A 192.0.2.1`), &disk{}
		saver := func(deps *Deps) { deps.Saver = d }
		w := start(t, z.exchange, domainOf(sip.UDP), saver)
		<-w.ready
		settle()
		w.leave()
		settle()
		z.hush(true)
		begin := time.Now()
		again := start(t, z.exchange, domainOf(sip.UDP), saver)
		if at := <-again.ready; at != begin {
			t.Errorf("ready after %v", at.Sub(begin))
		}
		again.want(t, "udp://192.0.2.1:5060", Unknown)
		pass(time.Hour)
		again.want(t, "udp://192.0.2.1:5060", Bad)
		other := start(t, z.exchange, domainOf(sip.TLS), saver)
		<-other.ready
		other.want(t, "", Unknown)
	})
}

func TestWhatTheDiskGivesBackIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		z.hush(true)
		good := Target{sip.TLS, netip.MustParseAddrPort("192.0.2.1:5061"), "pbx.test"}
		d := &disk{saved: Saved{Source: domainOf(sip.TLS).key(), Targets: []Target{{}, {"sctp", good.Addr, ""}, {sip.UDP, netip.MustParseAddrPort("0.0.0.0:1"), ""}, good}}}
		w := start(t, z.exchange, domainOf(sip.TLS), func(deps *Deps) { deps.Saver = d })
		<-w.ready
		w.want(t, "tls://192.0.2.1:5061", Unknown)
		bad := start(t, newZone(t, `pbx.test. A 192.0.2.3`).exchange, domainOf(sip.TLS), func(deps *Deps) { deps.Saver = &disk{err: errors.New("disk is gone")} })
		<-bad.ready
		settle()
		bad.want(t, "tls://192.0.2.3:5061", Good)
	})
}

func TestHostsFileComesBeforeDNS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# the site\n192.0.2.5 other a.test # ours\nnonsense a.test\n2001:db8::5\tA.Test.\n192.0.2.6 pbx.test\n")
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		z.hush(true)
		hosts := func(d *Deps) { d.Hosts = path }
		w := start(t, z.exchange, oneServer("a.test", 5060), hosts)
		<-w.ready
		settle()
		w.want(t, "udp://192.0.2.5:5060 udp://[2001:db8::5]:5060", Unknown)
		write("192.0.2.7 a.test\n192.0.2.6 pbx.test\n")
		pass(hostsTTL)
		w.want(t, "udp://192.0.2.7:5060", Unknown)
		if z.count() != 0 {
			t.Errorf("asked %q", z.asked)
		}
		d := start(t, z.exchange, domainOf(sip.UDP), hosts)
		pass(time.Minute)
		d.want(t, "udp://192.0.2.6:5060", Bad) // nobody could be asked for SRV
	})
}

func TestSourceWithoutAnythingIsNoFaultOfDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone(t)
		w := start(t, z.exchange, Source{})
		<-w.ready
		settle()
		w.want(t, "", Unknown)
		if h := w.Health(); h.Cause == "" || z.count() != 0 {
			t.Errorf("%+v, asked %q", h, z.asked)
		}
		for _, host := range []string{"a..test", strings.Repeat("a", 64) + ".test", "0.0.0.0"} {
			w.SetSource(oneServer(host, 0))
			pass(time.Minute)
			if len(w.Targets()) != 0 || w.Health().Cause == "" {
				t.Errorf("%s: %v, %+v", host, w.Targets(), w.Health())
			}
		}
	})
}
