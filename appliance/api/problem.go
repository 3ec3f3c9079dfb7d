package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Problem is an error as the API tells it: an RFC 9457 problem document, with
// the findings on a refused site document as an extension member.
type Problem struct {
	huma.ErrorModel
	Findings []Finding `json:"findings,omitempty" doc:"what is wrong with the document"`
}

// problemType is the media type of RFC 9457 section 3.
const problemType = "application/problem+json"

// newProblem returns a problem with the status' own title.
func newProblem(status int, detail string) *Problem {
	return &Problem{ErrorModel: huma.ErrorModel{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
	}}
}

// face gives an error of the backend its HTTP face. Whatever is not one of
// ours is internal: logged here, and told without its text.
func face(log *slog.Logger, what string, err error) error {
	if err == nil {
		return nil
	}
	var invalid *InvalidError
	switch {
	case errors.As(err, &invalid):
		p := newProblem(http.StatusUnprocessableEntity, err.Error())
		p.Findings = invalid.Findings
		return p
	case errors.Is(err, ErrNoRevision):
		return newProblem(http.StatusNotFound, err.Error())
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNothingWaits):
		return newProblem(http.StatusConflict, err.Error())
	}
	log.Error("api request", "what", what, "err", err)
	return newProblem(http.StatusInternalServerError, "something went wrong inside the appliance; its log says what")
}

// writeProblem writes a problem where huma is not involved.
func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(p)
}

// later names the areas of the contract whose room does not exist in this
// version. They are no routes; asking for one says so.
var later = []string{"trace", "sitecheck", "drill", "update", "support-bundle"}

// missing explains a path that is no route.
func missing(path string) *Problem {
	last := path[strings.LastIndexByte(path, '/')+1:]
	for _, name := range later {
		if last == name && strings.HasPrefix(path, Prefix+"/") {
			return newProblem(http.StatusNotFound, name+" is not part of this version")
		}
	}
	return newProblem(http.StatusNotFound, "there is nothing at this path; GET /api/openapi.json lists what there is")
}
