package expose

import "vitals/core"

// jsonGateway is the gateway that runs in this process.
type jsonGateway struct {
	Address    string             `json:"address"`
	Store      string             `json:"store"`
	Groups     int                `json:"groups"`
	Series     int                `json:"series"`
	Bytes      uint64             `json:"bytes"`
	Pushes     uint64             `json:"pushes"`
	Refused    uint64             `json:"refused"`
	LastError  string             `json:"last_error"`
	LastFailed moment             `json:"last_failed"`
	StoreError string             `json:"store_error"`
	Listed     []jsonGatewayGroup `json:"listed"`
}

type jsonGatewayGroup struct {
	Labels    string `json:"labels"`
	Pushed    moment `json:"pushed"`
	Failed    moment `json:"failed"`
	LastError string `json:"last_error"`
	Families  int    `json:"families"`
	Series    int    `json:"series"`
	Bytes     uint64 `json:"bytes"`
	Expires   moment `json:"expires"`
}

func gatewayOf(g *core.GatewayRow) *jsonGateway {
	if g == nil {
		return nil
	}
	return &jsonGateway{
		Address: g.Address, Store: g.Store, Groups: g.Groups, Series: g.Series, Bytes: g.Bytes, Pushes: g.Pushes, Refused: g.Refused,
		LastError: g.LastError, LastFailed: moment(g.LastFailed), StoreError: g.StoreError,
		Listed: each(g.Listed, func(r core.GatewayGroup) jsonGatewayGroup {
			return jsonGatewayGroup{r.Labels, moment(r.Pushed), moment(r.Failed), r.LastError, r.Families, r.Series, r.Bytes, moment(r.Expires)}
		}),
	}
}
