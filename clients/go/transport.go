package orchestrator

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Retries is how patient a client is. Attempts counts the first one; Total bounds all of them together. Between two
// attempts it waits as long as the service asked for, else FirstWait, doubled each time, up to LongestWait.
type Retries struct {
	Attempts    int
	Total       time.Duration
	FirstWait   time.Duration
	LongestWait time.Duration
}

// DefaultRetries is what a client without any is given.
var DefaultRetries = Retries{
	Attempts: 6, Total: time.Minute, FirstWait: 200 * time.Millisecond, LongestWait: 10 * time.Second,
}

// call is one request. repeatable: sending it twice comes to the same as once. goneIsDone: after a try of unknown fate
// 404 is a success.
type call struct {
	method, path string
	query        url.Values
	body         any
	header       http.Header
	repeatable   bool
	goneIsDone   bool
}

type answer struct {
	header http.Header
	body   []byte
}

// send sends a request, and again where that is right: what nobody knows the fate of only if it is repeatable, what was
// refused before anything was done whatever it asks for. All attempts carry the same X-Request-ID.
func (c *Client) send(what call) (*answer, error) {
	var body []byte
	if what.body != nil {
		encoded, err := json.Marshal(what.body)
		if err != nil {
			return nil, err
		}
		body = encoded
	}
	requestID, unsure := newRequestID(), false
	end := time.Now().Add(c.retries.Total)
	for attempt := 1; ; attempt++ {
		found, failure := c.once(what, body, requestID)
		if failure == nil {
			return found, nil
		}
		if failure.Status == http.StatusNotFound && unsure && what.goneIsDone {
			return &answer{header: http.Header{}}, nil
		}
		again := failure.passes() && (what.repeatable || failure.didNothing()) && attempt < c.retries.Attempts
		wait := c.wait(attempt, failure.RetryAfter)
		if !again || time.Now().Add(wait).After(end) {
			return nil, failure
		}
		unsure = unsure || !failure.didNothing()
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (c *Client) wait(attempt int, asked *float64) time.Duration {
	if asked != nil {
		return time.Duration(*asked * (1 + mathrand.Float64()/10) * float64(time.Second))
	}
	wait := c.retries.FirstWait << (attempt - 1)
	if wait > c.retries.LongestWait {
		wait = c.retries.LongestWait
	}
	return wait + time.Duration(mathrand.Float64()*float64(c.retries.FirstWait))
}

func (c *Client) once(what call, body []byte, requestID string) (*answer, *Error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.timeout)
	defer cancel()
	address := c.root + what.path
	if len(what.query) > 0 {
		address += "?" + what.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, what.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Code: "INVALID_ADDRESS", Message: err.Error(), Status: -1, cause: err}
	}
	c.dress(request, what.header, requestID, body != nil)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(err, requestID)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, unreachable(err, requestID)
	}
	if response.StatusCode < 300 {
		return &answer{response.Header, content}, nil
	}
	if said := response.Header.Get("X-Request-ID"); said != "" {
		requestID = said
	}
	return nil, errorOf(response.StatusCode, content, requestID, retryAfterOf(response.Header.Get("Retry-After"), time.Now()))
}

func (c *Client) dress(request *http.Request, more http.Header, requestID string, hasBody bool) {
	request.Header.Set("X-Demo-Mode", strconv.FormatBool(c.config.IsDemo))
	request.Header.Set("X-Request-ID", requestID)
	request.Header.Set("User-Agent", "ecpmon-client-go")
	if hasBody {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.config.Language != "" {
		request.Header.Set("Accept-Language", c.config.Language)
	}
	if c.config.Token != nil {
		request.Header.Set("Authorization", "Bearer "+c.config.Token())
	}
	for name, values := range more {
		request.Header[name] = values
	}
}

func unreachable(err error, requestID string) *Error {
	if errors.Is(err, context.Canceled) { // the caller does not want it any more
		return &Error{Status: -1, Code: "CANCELED", Message: err.Error(), RequestID: requestID, cause: err}
	}
	code := "UNREACHABLE"
	if errors.Is(err, context.DeadlineExceeded) {
		code = "TIMEOUT"
	}
	return &Error{Code: code, Message: err.Error(), RequestID: requestID, cause: err}
}

func newRequestID() string {
	var bytes [8]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		return fmt.Sprintf("req-%x", time.Now().UnixNano())
	}
	return "req-" + hex.EncodeToString(bytes[:])
}

func retryAfterOf(header string, now time.Time) *float64 {
	if header == "" {
		return nil
	}
	if seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31); err == nil {
		found := float64(seconds)
		return &found
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return nil
	}
	found := at.Sub(now).Seconds()
	if found < 0 {
		found = 0
	}
	return &found
}

// ask sends a request and reads the JSON of its answer.
func ask[T any](c *Client, what call) (*T, error) {
	found, err := c.send(what)
	if err != nil {
		return nil, err
	}
	read := new(T)
	if err := json.Unmarshal(found.body, read); err != nil {
		return nil, fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	return read, nil
}
