package call

import (
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// stage is how far a leg has come.
type stage int

const (
	opening   stage = iota // B: waits for its media ports
	calling                // B: INVITE sent, nothing heard
	early                  // A: INVITE pending; B: a sign of life came
	answered               // A: 2xx sent, not yet acknowledged
	confirmed              // 2xx and ACK have passed
	offered                // on offer to another call, which may have it already
	leaving                // CANCEL or BYE is on its way
	gone
)

// leg is one dialog of the call.
type leg struct {
	id    LegID
	stage stage
	// incoming says that the peer called the box: the A leg, and whoever takes a
	// call over. All others were called by the box.
	incoming bool
	// aim is whom the box called with this leg, target all that the plan says of it,
	// until somebody has answered; of an incoming leg both are empty.
	aim    aim
	target *Target
	// who is at the other end of an incoming leg other than A, and of one that
	// came over from another call.
	who Party
	// takes is the leg in whose place an incoming one shall talk, until its media is open.
	takes *leg
	flow  sip.Flow
	side  Side
	// talk is the dialog that speaks for the leg: the one that was answered, before
	// that the first early one. talks are all early ones of a called leg, in the
	// order of their coming, root is what its INVITE was sent with.
	*talk
	root  *talk
	talks []*talk
	// losers are the early dialogs that were not answered first: who answers in one
	// later is let go with the next of its numbers.
	losers []*dialog.Dialog

	// invite is the request that made an incoming leg, until its 2xx is acknowledged.
	invite   *sip.Request
	tx       TxID   // incoming: where it is answered
	ref      Ref    // called: its client transaction
	heard    bool   // called: any answer at all
	byeDue   bool   // incoming: BYE as soon as the 2xx is acknowledged
	late     bool   // called: its 2xx carried the offer, the ACK must carry the answer
	offers   bool   // incoming: our 2xx carried the offer, its ACK must carry the answer
	rang     bool   // called: it said that it rings
	withheld bool   // called: its number is for nobody to see (RFC 3323)
	uuid     string // the peer's name in Session-ID; "": not known yet

	// open says that media ports are held.
	open bool
	// rel are our provisional responses that the peer acknowledges.
	rel reliable

	// acked says that the 2xx to request ackSeq was acknowledged with ackBody, for
	// when that 2xx repeats; forks are the ACKs of other answerers of the INVITE, by
	// their tag.
	acked   bool
	ackSeq  uint32
	ackBody []byte
	forks   map[string]*sip.Request

	// insisted says that SRTP was preferred only, before a 488.
	insisted bool
	// presses are key presses to be told by INFO; the first is under way.
	presses []Digit
	// refers says that a phone's REFER went out here.
	refers bool
	// next is the other one to bring in line after this one was.
	next *leg

	timer sessionTimer
	// past says that the peer was given the other one's address for its media: it goes
	// past the box.
	past bool
	// unfit says that the caller was told of a session, early, that is not the one
	// that was agreed on in the end.
	unfit bool
}

// sessionTimer is a leg's session timer (RFC 4028).
type sessionTimer struct {
	interval time.Duration // 0: none agreed
	ours     bool          // we refresh
	minSE    time.Duration // smallest interval the peer accepts
}

// aim is what is kept of a target for the life of its leg.
type aim struct {
	name, extension, instance, line string
	number, display                 string // as the other party is shown it
	through                         bool
	credentials                     *sip.Credentials
}

// calls makes the leg for a target.
func (m *Machine) calls(t *Target) *leg {
	return &leg{id: LegID(len(m.legs)), stage: opening, target: t, flow: t.Flow, side: t.Side, talk: &talk{},
		aim: aim{t.Name, t.Extension, t.Instance, t.Line, t.URI.User, t.To.Display, t.Through, t.Credentials}}
}

// flows are the other ways to the device that the leg calls.
func (l *leg) flows() []Target {
	if l.target == nil {
		return nil
	}
	return l.target.Flows
}

// live says that the leg has a dialog that must be ended with BYE.
func (l *leg) live() bool { return l.stage == answered || l.stage == confirmed }

// pending says that a leg that the box called may still be answered.
func (l *leg) pending() bool {
	return !l.incoming && (l.stage == opening || l.stage == calling || l.stage == early)
}

// maxLegs bounds the legs of one call, those that are gone included.
const maxLegs = 256

// relay is a request carried from one leg to the other, waiting for its answer.
type relay struct {
	from, to LegID
	tx       TxID
	req      *sip.Request
	offer    *sdp.Session // from's offer; nil: offerless
	mine     *sdp.Session // what the other leg was offered
	was      *sdp.Local   // the other leg's end before it was offered a fax
	answer   *sdp.Session // that offer, until from's ACK answers it
	seq      uint32       // CSeq of the 2xx that waits for an ACK with the answer
	by       *talk        // from's dialog, where it is an early one
	refused  bool         // its sender has got 481, because the call ended
}

// purpose tells what a pending client request was sent for.
type purpose int

const (
	forInvite purpose = iota
	forRelay
	forRefresh
	forBye
	forRefit
	forRekey
	forDirect
	forNotify
	forPrack
	forUpdate
	forInfo
)

// ask is a client request that waits for its final answer.
type ask struct {
	leg     LegID
	talk    *talk // the dialog that it is sent in; nil: the leg's
	purpose purpose
	method  sip.Method
	relay   *relay
	headers []sip.Header // beyond the dialog's own, to build it again with credentials
	body    []byte
	ctype   string
	offer   *sdp.Session // what body describes, where the answer is to be held against it
	seq     uint32
	tried   int
	// rseq numbers the last reliable response to a re-INVITE, answer is the description
	// that one has brought.
	rseq   uint32
	answer *sdp.Session
}

// answered is the description that a 2xx to a re-INVITE agrees on: the one that came
// with a reliable response counts (RFC 3261 13.2.1).
func (a *ask) answered(resp *sip.Response) (*sdp.Session, error) {
	theirs, err := session(resp)
	switch {
	case err != nil:
		return nil, err
	case a.answer != nil:
		return a.answer, nil
	case theirs == nil:
		return nil, errNoAnswer
	}
	return theirs, nil
}
