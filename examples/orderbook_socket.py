"""The live book of one symbol and its liquidity: python orderbook_socket.py [host:port] [symbol] [messages]"""

from connection import SYMBOL, messages

for book in messages(f"/ws/depth?symbol={SYMBOL}&market=SPOT"):
    if book["type"] == "status":
        print(f"{book['symbol']} is {book['wsStatus']}", flush=True)
        continue
    if book["type"] not in {"snapshot", "update"}:
        print(book)
        continue
    print(f"{book['symbol']} {book['bestBid']['price']} / {book['bestAsk']['price']} ({book['wsStatus']})")
    for band in book["depthVolumes"]:
        bid = f"{'' if band['bidComplete'] else '>='}{band['totalBidValue']:,.0f}"
        ask = f"{'' if band['askComplete'] else '>='}{band['totalAskValue']:,.0f}"
        print(f"  within {band['depth']:>5}%  bid {bid:>16}  ask {ask:>16}", flush=True)
