package api_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"linekeeper/appliance/records"
)

func TestCallRecordsComeAsJSONAndAsCSVThatASpreadsheetMayOpen(t *testing.T) {
	s := serve(t, socketPath(t))
	resp, body := s.ask(t, "GET", "/api/v1/cdrs?from=2", "")
	var list []records.Record
	if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != 200 || len(list) != 1 || list[0].ID != "c9" {
		t.Fatalf("%d %v %s", resp.StatusCode, err, body)
	}
	resp, body = s.ask(t, "GET", "/api/v1/cdrs?format=csv", "")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || resp.StatusCode != 200 || len(rows) != 3 {
		t.Fatalf("%d %v %q", resp.StatusCode, err, body)
	}
	if rows[2][7] != "'=cmd" || rows[1][5] != "60" || rows[2][11] != "survival" {
		t.Errorf("row %q", rows[2])
	}
	if resp, _ := s.ask(t, "GET", "/api/v1/cdrs?format=xls", ""); resp.StatusCode != 422 {
		t.Errorf("an unknown format: %d", resp.StatusCode)
	}
}

func TestAnAdministratorMayLetRejectedLinesTryAgain(t *testing.T) {
	s := serve(t, socketPath(t))
	if resp, body := s.ask(t, "POST", "/api/v1/lines/retry", ""); resp.StatusCode != 204 || s.Retried != 1 {
		t.Errorf("%d %s, told %d times", resp.StatusCode, body, s.Retried)
	}
}
