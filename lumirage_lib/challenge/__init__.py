"""Learn2Reg and LUMIR files in, scores out."""
