"""An exchange that speaks Binance's protocol with a market of its own: for the demo and the tests. Stands alone."""
