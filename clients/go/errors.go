package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Error is what the service answered when it did not do what was asked, or, with Status 0, that nothing answered.
// Code is stable (docs/errors.md); by RequestID the service's operators find the request.
type Error struct {
	Status     int
	Code       string
	Message    string
	Details    map[string]any
	RequestID  string
	RetryAfter *float64
	cause      error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s [%s]", e.Code, e.Message, e.RequestID) }

func (e *Error) Unwrap() error { return e.cause }

// Fields has one entry per bad field of what was sent.
func (e *Error) Fields() []FieldError {
	var found []FieldError
	if raw, err := json.Marshal(e.Details["fields"]); err == nil {
		_ = json.Unmarshal(raw, &found) // of another shape: there are none
	}
	return found
}

// FieldError says what is wrong with a field.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// CodeOf is the code of an error of this client, else "".
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// passes: whether the same request may succeed later.
func (e *Error) passes() bool {
	switch e.Status {
	case 0, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// didNothing: whether it is certain that nothing came of the request.
func (e *Error) didNothing() bool {
	return e.Code == "OVERLOADED" || e.Code == "RATE_LIMITED" || e.Code == "TOO_MANY_SOCKETS"
}

func errorOf(status int, body []byte, requestID string, retryAfter *float64) *Error {
	var document struct {
		Error struct {
			Code      string         `json:"code"`
			Message   string         `json:"message"`
			Details   map[string]any `json:"details"`
			RequestID string         `json:"request_id"`
		} `json:"error"`
	}
	said := &document.Error
	if json.Unmarshal(body, &document) != nil || said.Code == "" { // a proxy's page
		said.Code = fmt.Sprintf("HTTP_%d", status)
		said.Message = fmt.Sprintf("the answer is %d", status)
	}
	if said.RequestID == "" {
		said.RequestID = requestID
	}
	return &Error{
		Status: status, Code: said.Code, Message: said.Message, Details: said.Details,
		RequestID: said.RequestID, RetryAfter: retryAfter,
	}
}
