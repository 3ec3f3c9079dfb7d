package location_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func binding(ext, host string, cseq uint32) location.Binding {
	remote := netip.AddrPortFrom(netip.MustParseAddr(host), 5060)
	return location.Binding{
		Extension: ext, URI: "sip:" + ext + "@" + host, CallID: "reg-" + host, CSeq: cseq,
		Flow: sip.Flow{Zone: "lan", Transport: sip.UDP, Remote: remote}, Q: 1000, Expires: noon.Add(time.Minute),
	}
}

// disk is a Saver in memory that can fail and be slow.
type disk struct {
	mu    sync.Mutex
	kept  map[string][]location.Binding
	saves int
	fail  error
	block chan struct{}
}

func (d *disk) Save(changed map[string][]location.Binding) error {
	if d.block != nil {
		<-d.block
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saves++
	if d.fail != nil {
		err := d.fail
		d.fail = nil
		return err
	}
	if d.kept == nil {
		d.kept = make(map[string][]location.Binding)
	}
	maps.Copy(d.kept, changed)
	return nil
}

func (d *disk) Load() (map[string][]location.Binding, error) { return maps.Clone(d.kept), nil }

func must(t *testing.T, table *location.Table, b location.Binding) {
	t.Helper()
	if _, err := table.Register(noon, b); err != nil {
		t.Fatal(err)
	}
}

func TestOneExtensionHasSeveralContactsPreferredFirst(t *testing.T) {
	table := location.New(nil)
	low := binding("22", "10.0.0.1", 1)
	low.Q = 100
	must(t, table, low)
	must(t, table, binding("22", "10.0.0.2", 1))
	got := table.Lookup(noon, "22")
	if len(got) != 2 || got[0].Q != 1000 || table.Len() != 2 {
		t.Errorf("%+v", got)
	}
	if table.Lookup(noon, "23") != nil {
		t.Error("an extension nobody registered has contacts")
	}
}

func TestOlderRequestOfTheSameCallIDIsRefused(t *testing.T) {
	table := location.New(nil)
	must(t, table, binding("22", "10.0.0.1", 5))
	for _, cseq := range []uint32{4, 5} {
		if _, err := table.Register(noon, binding("22", "10.0.0.1", cseq)); !errors.Is(err, location.ErrOutOfOrder) {
			t.Errorf("cseq %d: %v", cseq, err)
		}
		if _, err := table.Remove(noon, binding("22", "10.0.0.1", cseq)); !errors.Is(err, location.ErrOutOfOrder) {
			t.Errorf("removal with cseq %d: %v", cseq, err)
		}
	}
	again := binding("22", "10.0.0.1", 1)
	again.CallID = "after a reboot"
	must(t, table, again)
}

func TestInstanceReplacesItsOldAddress(t *testing.T) {
	table := location.New(nil)
	old, moved := binding("22", "10.0.0.1", 1), binding("22", "10.0.0.9", 2)
	old.Instance, moved.Instance = "urn:uuid:1", "urn:uuid:1"
	must(t, table, old)
	must(t, table, moved)
	second := moved
	second.RegID, second.URI = 2, "sip:22@10.0.0.9;flow=2"
	must(t, table, second)
	if got := table.Lookup(noon, "22"); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	if table.Trusted(netip.MustParseAddr("10.0.0.1")) || !table.Trusted(netip.MustParseAddr("::ffff:10.0.0.9")) {
		t.Error("trust did not move with the phone")
	}
}

func TestSameSocketWithANewContactReplacesTheOldOne(t *testing.T) {
	table := location.New(nil)
	must(t, table, binding("22", "10.0.0.1", 1))
	b := binding("22", "10.0.0.1", 1)
	b.URI, b.CallID = "sip:22-random@10.0.0.1", "another"
	must(t, table, b)
	if got := table.Lookup(noon, "22"); len(got) != 1 || got[0].URI != b.URI {
		t.Errorf("%+v", got)
	}
}

func TestContactsOfOneExtensionAreBounded(t *testing.T) {
	table := location.New(nil)
	for i := range location.MaxContacts {
		must(t, table, binding("22", fmt.Sprintf("10.0.0.%d", i+1), 1))
	}
	must(t, table, binding("22", "10.0.0.3", 2)) // a refresh always fits
	old := binding("22", "10.0.0.5", 2)
	old.Expires = noon.Add(time.Second)
	must(t, table, old)
	must(t, table, binding("22", "10.0.1.1", 1)) // displaces who was silent longest
	if got := table.Lookup(noon, "22"); len(got) != location.MaxContacts || slices.ContainsFunc(got, func(b location.Binding) bool { return b.URI == old.URI }) {
		t.Errorf("%d contacts: %+v", len(got), got)
	}
	reborn := binding("22", "10.0.0.7", 1) // the same host from another port, under another name
	reborn.URI, reborn.CallID = "sip:22@10.0.0.7:49152", "reborn"
	reborn.Flow.Remote = netip.AddrPortFrom(reborn.Flow.Remote.Addr(), 49152)
	must(t, table, reborn)
	got := table.Lookup(noon, "22")
	if n := len(slices.DeleteFunc(got, func(b location.Binding) bool { return b.Flow.Remote.Addr() != reborn.Flow.Remote.Addr() })); n != 1 {
		t.Errorf("the phone that lives and what it left behind: %d contacts", n)
	}
}

func TestContactsCanBeRemovedOneByOneAndAllAtOnce(t *testing.T) {
	table := location.New(nil)
	for i := range 3 {
		must(t, table, binding("22", fmt.Sprintf("10.0.0.%d", i+1), 1))
	}
	if left, err := table.Remove(noon, binding("22", "10.0.0.2", 2)); err != nil || len(left) != 2 {
		t.Errorf("%v %v", left, err)
	}
	if err := table.RemoveAll(noon, "22", "reg-10.0.0.1", 2); err != nil || table.Len() != 0 {
		t.Errorf("%d left, %v", table.Len(), err)
	}
	if table.Trusted(netip.MustParseAddr("10.0.0.1")) {
		t.Error("an address without a binding is trusted")
	}
}

func TestExpiredContactIsNeitherFoundNorKept(t *testing.T) {
	table := location.New(nil)
	must(t, table, binding("22", "10.0.0.1", 1))
	later := noon.Add(time.Minute)
	if table.Lookup(later, "22") != nil || len(table.Snapshot(later)) != 0 {
		t.Error("found after its expiry")
	}
	if gone := table.Sweep(later); len(gone) != 1 || table.Len() != 0 {
		t.Errorf("swept %v, %d left", gone, table.Len())
	}
}

func TestBindingsAreSavedWithinTheWindowAndThereAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		table := location.New(d)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- table.Run(ctx, func(error) {}) }()
		for i := range 100 {
			must(t, table, binding(fmt.Sprint(i), "10.0.0.1", 1))
		}
		time.Sleep(location.SaveEvery + time.Millisecond)
		synctest.Wait()
		d.mu.Lock()
		if len(d.kept) != 100 || d.saves != 1 {
			t.Errorf("%d extensions kept in %d saves", len(d.kept), d.saves)
		}
		d.mu.Unlock()
		must(t, table, binding("last", "10.0.0.1", 1))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		fresh := location.New(d)
		if err := fresh.Load(noon); err != nil || fresh.Len() != 101 || !fresh.Trusted(netip.MustParseAddr("10.0.0.1")) {
			t.Errorf("%d bindings, %v", fresh.Len(), err)
		}
		if late := location.New(d); late.Load(noon.Add(time.Hour)) != nil || late.Len() != 0 {
			t.Error("expired bindings came back")
		}
	})
}

func TestFailedSaveIsReportedAndRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{fail: errors.New("disk full")}
		table := location.New(d)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		reported := make(chan error, 10)
		go func() { done <- table.Run(ctx, func(err error) { reported <- err }) }()
		must(t, table, binding("22", "10.0.0.1", 1))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(reported) != 1 || len(d.kept["22"]) != 1 {
			t.Errorf("%d reports, kept %v", len(reported), d.kept)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestStalledDiskDoesNotStallRegistrations(t *testing.T) {
	d := &disk{block: make(chan struct{})}
	table := location.New(d)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- table.Run(ctx, func(error) {}) }()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				b := binding(fmt.Sprint(w, "-", i%50), "10.0.0.1", uint32(i))
				if _, err := table.Register(noon, b); err != nil {
					t.Error(err)
				}
				table.Lookup(noon, b.Extension)
			}
		})
	}
	wg.Wait() // the disk hasn't moved
	close(d.block)
	cancel()
	if err := <-done; err != nil || len(d.kept) != 200 {
		t.Errorf("%d extensions kept, %v", len(d.kept), err)
	}
}

func BenchmarkRegister(b *testing.B) {
	table := location.New(&disk{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = table.Register(noon, binding("22", "10.0.0.1", uint32(i)))
	}
}

func BenchmarkLookup(b *testing.B) {
	table := location.New(nil)
	_, _ = table.Register(noon, binding("22", "10.0.0.1", 1))
	b.ReportAllocs()
	for b.Loop() {
		table.Lookup(noon, "22")
	}
}
