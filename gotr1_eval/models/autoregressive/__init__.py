"""What families of autoregressive generators share: decoder and its cache, fused layers, noise, choosing, the loops."""
