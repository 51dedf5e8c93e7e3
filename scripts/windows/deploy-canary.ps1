<#
.SYNOPSIS
Applies a ModelRollout with a new MODEL_URI and waits for the verdict, as scripts/steps/deploy_model.sh does.
.DESCRIPTION
Exit code 0: promoted; 1: rolled back, halted, invalid or stalled; 2: no verdict in time; 3: superseded; 64 and above: the cluster or the command line is wrong.
.EXAMPLE
scripts\windows\deploy-canary.ps1 -Manifest docs\examples\iris.yaml -ModelUri models:/iris/7
#>
[CmdletBinding()]
param(
    # A file with one ModelRollout.
    [Parameter(Mandatory)] [ValidateScript({ Test-Path -Path $_ -PathType Leaf })] [string] $Manifest,
    # models:/NAME/VERSION or models:/NAME@ALIAS.
    [Parameter(Mandatory)] [ValidatePattern('^models:/[A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff_-]([A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff_. -]*[A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff_.-])?(/[1-9][0-9]{0,9}|@[A-Za-z0-9\u00c0-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u2c00-\u2fef\u3001-\ud7ff_-]+)\z')] [string] $ModelUri,
    # How long to wait for the verdict.
    [ValidatePattern('^([0-9]+[smh])+$')] [string] $Timeout = '30m'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# A file, because Windows PowerShell loses quotes in arguments for programs.
$patch = New-TemporaryFile
try {
    Set-Content -Path $patch -Value (@{ spec = @{ modelUri = $ModelUri } } | ConvertTo-Json -Compress) -Encoding Ascii
    $asked = kubectl patch --local -f $Manifest --type merge --patch-file $patch -o json
    if ($LASTEXITCODE -ne 0) { exit 64 }
}
finally {
    Remove-Item -Path $patch
}
$rollout = ($asked | Out-String | ConvertFrom-Json)
if ($rollout.kind -ne 'ModelRollout') { Write-Error "$Manifest holds something else than one ModelRollout." -ErrorAction Continue; exit 64 }

$asked | kubectl apply --server-side --field-manager deploy-workflow --force-conflicts --filename '-'
if ($LASTEXITCODE -ne 0) { exit 77 }
$where = if ($rollout.metadata.PSObject.Properties['namespace']) { @('--namespace', $rollout.metadata.namespace) } else { @() }
kubectl modelrollout status $rollout.metadata.name @where --wait --timeout $Timeout --model-uri $ModelUri
exit $LASTEXITCODE
