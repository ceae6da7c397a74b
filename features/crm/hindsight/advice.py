"""What to do about a column that only hindsight knows: the last sentence of its findings."""

ADVICE_EN = (
    "Leave it out or give its history in [changes]; if it never changes after the lead is created, keep it "
    "with insist = true."
)
ADVICE_JA = (
    "特徴量から外すか、[changes]で変更履歴を渡してください。リードの作成後に変わらない項目であれば、"
    "insist = true で使えます。"
)
