package phone

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// handler is the phone as its agent sees it.
type handler struct{ p *Phone }

// Admit lets everything in: a phone trusts its registrar.
func (h handler) Admit(context.Context, *ua.Agent, *sip.Request, *sip.ServerTx) bool { return true }

// Asked answers what comes outside a dialog.
func (h handler) Asked(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) {
	switch req.Method {
	case sip.OPTIONS, sip.NOTIFY, sip.MESSAGE:
		a.Respond(tx, req, 200, "OK")
	default:
		a.Respond(tx, req, 405, "Method Not Allowed")
	}
}

// Media makes the phone's end of a call.
func (h handler) Media(*ua.Call) (ua.Media, error) {
	if h.p.cfg.Media != nil {
		return h.p.cfg.Media()
	}
	c := &h.p.cfg
	return voice.Open(voice.Config{
		Addr: c.Local, Terms: voice.Terms{Security: c.Security, Codecs: c.Codecs},
		Tone: c.Tone, Ear: c.Ear, Echo: c.Echo,
	}, h.p.pacer)
}

// Invited does with a call what the phone was told to do.
func (h handler) Invited(ctx context.Context, c *ua.Call) {
	manner := *h.p.manner.Load()
	if manner.Mode == Busy {
		h.done(c.Reject(486, "Busy Here"))
	} else if manner.Mode != Mute {
		h.done(c.Ring(false))
	}
	select {
	case h.p.incoming <- c:
	default: // nobody fetches calls; the manner below still holds
	}
	if manner.Mode != Accept && manner.Mode != Refuse {
		return
	}
	timer := time.NewTimer(manner.After)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-c.Over():
		return
	case <-timer.C:
	}
	if manner.Mode == Refuse {
		h.done(c.Reject(603, "Decline"))
		return
	}
	h.done(c.Answer())
}

func (h handler) done(err error) {
	if err != nil {
		h.p.cfg.Log.Debug("incoming call", "phone", h.p.cfg.Extension, "err", err)
	}
}
