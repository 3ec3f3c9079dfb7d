package sbc

import (
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
)

// tries registers with a password and returns the answer.
func (p *peer) tries(password string) int {
	p.t.Helper()
	req := p.request(sip.REGISTER, "", "Contact: <sip:x@"+p.flow.Remote.String()+">")
	p.send(req)
	p.send(p.prove(req, p.hears(401), p.name, password, 0))
	return p.next().(*sip.Response).StatusCode
}

func TestGuessingEndsEvenWhereTheGuardBansNobody(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		phone := w.phone("22", 10)
		phone.registers() // its address is trusted now
		elsewhere := w.phone("23", 20)
		flow := phone.flow
		flow.Remote = netip.AddrPortFrom(flow.Remote.Addr(), 5070)
		guesser := w.join("23", flow)
		for i := range guessesAllowed {
			if got := guesser.tries("guess" + strconv.Itoa(i)); got != 401 {
				t.Fatalf("guess %d: %d", i, got)
			}
		}
		if got := guesser.tries("secret23"); got != 401 {
			t.Errorf("the right password after %d wrong ones: %d", guessesAllowed, got)
		}
		for _, p := range []*peer{phone, elsewhere} {
			if got := p.tries("secret" + p.name); got != 200 {
				t.Errorf("%s, who never guessed: %d", p.name, got)
			}
		}
		<-time.After(guessesFor)
		if got := guesser.tries("secret23"); got != 200 {
			t.Errorf("the right password a quarter of an hour later: %d", got)
		}
	})
}

func TestGuessesAboutAPhoneDoNotLockItOut(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		phone := w.phone("22", 10)
		phone.registers()
		for range 2 * guessesAllowed { // somebody writes its address on his datagrams
			phone.tries("guess")
		}
		if got := phone.tries("secret22"); got != 200 {
			t.Errorf("the registered phone: %d", got)
		}
	})
}

func TestGuessersAreForgottenBeforeTheyFillTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		for i := range 2 * maxGuessers {
			g.note(asker{user: strconv.Itoa(i)}, time.Now())
		}
		if len(g.wrong) > maxGuessers {
			t.Errorf("%d guessers are remembered", len(g.wrong))
		}
	})
}
